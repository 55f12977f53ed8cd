"""Slugline: from a pile of scraped articles to topic and stance labels one can trust.

A news article enters as an `Article` and leaves as a `Prediction`. The stages, in the order of `dvc.yaml`, each a module
(or package) and a command of the same name, meeting on disk under `artifacts/`:

    train_separator   labelled lines      -> models/separator     the weights that ship
    ingest            files of any format -> articles             id, text, title, labels where known
    clean             articles            -> documents            Unicode repaired, duplicates marked
    separate          documents           -> documents            body and typed boilerplate lines
    split             documents           -> examples by split    no group in two splits
    train             examples            -> artifacts/<task>     classifier and calibration
    evaluate          model and examples  -> metrics, report      intervals, shortcut test
    register          challenger          -> models/<task>        the champion, if it is better
    score             articles            -> predictions          the contract's records
"""

__version__ = "0.1.0"
