"""Words and phrases that say what a line is, in a dozen languages. The model weighs them; none decides alone.

Phrases are compared word by word without case, digits are written 0. What the lists deliberately miss: names of sites and
of agencies other than the largest, which the model learns from its training lines.
"""

from __future__ import annotations

FUNCTION_WORDS = """
the of and to in a is that for it as was with be by on not he his but at are this have from or had an they which one you were
all her she there would their we him been has when who will no more if out so what up its about than into them can only other
der die das und ist nicht ein eine zu den von mit dem des auch auf für sich im dass er sie es als an wird bei werden hat war
aus nach einer einem wie über noch am le la les de des et un une est que qui dans pour pas sur au avec ce il elle sont par se
plus ne ont été mais du el los las en y del por con una su para es lo como más pero sus al o este sí porque entre cuando muy
sin sobre ser tiene también me hasta hay donde quien il di che è e non per una sono i della ha con si da come anche ma le nel
alla dei più gli o que do da em um não uma os no se na por mais as dos como mas foi ao ele das tem à seu sua ou ser quando muito
de het een van en dat op te zijn met voor niet aan er om ook als maar bij uit nog wordt door naar heeft worden над и в не на что
он с как а то это по к из у за от о же все так его но для до мы бы был она они было ли или мне при только был w i na z do się
nie to jest że o a jak po przez od za ale ich dla oraz czy tym może som och det att i en jag hon han på är för med den till av
om inte så de var ett ve bir bu da için ile çok olarak daha olan gibi kadar på af til ikke fra som har de er at vi men var on
ei se ja että oli hän joka mutta kun niin ovat mitä a az és hogy nem egy is volt meg van de și în cu nu pe la care mai din ca
"""

CUES: dict[str, str] = {
    "share": """share|tweet|pin it|pinterest|facebook|twitter|whatsapp|linkedin|reddit|email|email this|print|copy link|follow us|like us|
        follow|instagram|youtube|telegram|messenger|tumblr|flipboard|share this|teilen|twittern|drucken|merken|folgen sie uns|partager|
        imprimer|suivez nous|partagez|compartir|imprimir|síguenos|condividi|stampa|seguici|compartilhar|siga|delen|поделиться|
        подписывайтесь|udostępnij|dela|del på|paylaş|分享|転載|シェア|vk|tiktok|rss|bookmark|save|likes|views|shares|retweet""",
    "subscribe": """newsletter|subscribe|sign up|sign in|log in|login|register|subscription|subscriber|subscribers|subscribe now|
        email address|your email|your inbox|inbox|unsubscribe|free trial|join now|membership|become a member|donate|create account|
        create an account|password|support us|abonnieren|anmelden|einloggen|registrieren|abonnez vous|abonner|s abonner|inscrivez vous|
        je m abonne|se connecter|connexion|suscríbete|suscribirse|iniciar sesión|regístrate|boletín|iscriviti|abbonati|accedi|assine|
        inscreva|abonneer|aanmelden|подпишитесь|подписаться|войти|рассылка|zapisz się|zaloguj|subskrybuj|prenumerera|logga in|
        abone ol|订阅|登录|购读|download app|download our app|app|get the app|exclusive access|premium|paywall|podcast|listen""",
    "comment": """comment|comments|leave a comment|leave a reply|reply|post a comment|add comment|click to comment|join the conversation|
        join the discussion|have your say|view comments|show comments|what do you think|let us know|disqus|upvote|report|
        kommentar|kommentare|kommentieren|diskutieren|commentaire|commentaires|réagir|laisser un commentaire|comentario|comentarios|
        comenta|deja un comentario|commenti|commenta|comentários|comente|reacties|reageer|комментарии|комментировать|komentarze|
        skomentuj|kommentarer|yorum|评论|コメント|required fields|be the first to comment|says|moderated|commenting""",
    "legal": """copyright|all rights reserved|rights reserved|terms|privacy|privacy policy|cookie|cookies|cookie policy|terms of use|
        terms of service|terms and conditions|disclaimer|gdpr|ccpa|do not sell|trademark|trademarks|may not be published|
        redistributed|reproduced|licensed|consent|accessibility|affiliate|impressum|datenschutz|alle rechte vorbehalten|agb|
        nutzungsbedingungen|urheberrecht|mentions légales|tous droits réservés|droits réservés|confidentialité|aviso legal|
        todos los derechos reservados|derechos reservados|privacidad|política de privacidad|tutti i diritti riservati|
        informativa|direitos reservados|auteursrecht|alle rechten voorbehouden|все права защищены|права защищены|
        wszelkie prawa zastrzeżone|upphovsrätt|tüm hakları saklıdır|版权所有|著作権|responsible for the content|commission""",
    "advert": """advertisement|advertisements|ad|ads|advertise|advertising|sponsored|sponsor|sponsored content|promoted|
        paid content|story continues below|scroll to continue|continue reading below|anzeige|werbung|publicité|publicidad|anuncio|
        pubblicità|publicidade|advertentie|реклама|reklama|annons|reklam|广告|広告|shop|buy now|deal|deals|discount|coupon|
        add to cart|free shipping|order now|special offer|promo code|sale|recommended videos|taboola|outbrain""",
    "related": """related|more from|more on|read more|read also|also read|read next|up next|recommended|you may also like|you might also like|
        most read|most popular|most viewed|popular|trending|latest|latest news|top stories|latest stories|don t miss|related articles|
        related stories|related news|related posts|related topics|see also|recent posts|recent articles|editor s picks|editors picks|
        more stories|more news|more in|featured|previous|next|previous article|next article|previous post|next post|must read|
        in case you missed it|for you|keep reading|continue reading|other news|also on|from the web|around the web|
        lesen sie auch|mehr zum thema|das könnte sie auch interessieren|weitere artikel|meistgelesen|mehr|
        à lire aussi|lire aussi|à lire|lire la suite|sur le même sujet|dans la même rubrique|les plus lus|voir aussi|articles liés|
        lee también|leer más|te puede interesar|más noticias|más leídas|lo más leído|también te puede interesar|noticias relacionadas|
        leggi anche|leggi di più|articoli correlati|potrebbe interessarti|leia também|leia mais|saiba mais|veja também|mais lidas|
        lees ook|lees verder|meest gelezen|meer|читайте также|ещё по теме|популярное|по теме|новости|zobacz też|czytaj także|czytaj też|
        najnowsze|läs också|läs mer|les også|ilgili haberler|相关|相关阅读|推荐|関連記事|延伸阅读|热门""",
    "navigation": """home|menu|search|skip to content|skip to main content|skip to|back to top|contact|contact us|about|about us|sitemap|
        site map|tags|tag|tagged|categories|category|archive|archives|topics|sections|jump to|toggle navigation|close|open menu|
        show more|load more|view all|see all|view more|all news|page|pages|faq|help|careers|jobs|advertise with us|our team|
        filed under|posted in|in this article|table of contents|contents|breadcrumb|startseite|suche|menü|kontakt|über uns|
        zum inhalt springen|schlagworte|themen|accueil|recherche|rubriques|contactez nous|inicio|buscar|menú|contacto|secciones|
        temas|etiquetas|cerca|contatti|chi siamo|início|contato|zoeken|поиск|главная|контакты|теги|szukaj|kontakty|tagi|sök|
        ara|iletişim|首页|搜索|标签|首頁|检索|world|politics|business|sports|sport|entertainment|opinion|lifestyle|technology|health""",
    "byline": """by|written by|author|posted by|published by|published|updated|posted|last updated|last modified|modified|staff writer|
        staff reporter|reporter|correspondent|editor|editors|contributor|contributing writer|reporting by|editing by|additional reporting|
        min read|minute read|minutes read|minutes ago|hours ago|hour ago|days ago|day ago|weeks ago|ago|edt|est|gmt|pst|utc|pdt|am|pm|
        von|veröffentlicht|aktualisiert|redaktion|uhr|autor|par|publié|publié le|mis à jour|rédaction|por|publicado|actualizado|
        redacción|di|pubblicato|aggiornato|redazione|door|gepubliceerd|автор|опубликовано|обновлено|opublikowano|publicerad|
        yayınlanma|作者|发布|来源|记者|編集|reuters|afp|ap|associated press|dpa|efe|ansa|bloomberg|tass|xinhua|correction|follow him|
        follow her|can be reached|is a reporter|is a writer|is a freelance|about the author""",
    "month": """january|february|march|april|may|june|july|august|september|october|november|december|jan|feb|mar|apr|jun|jul|aug|sep|sept|
        oct|nov|dec|monday|tuesday|wednesday|thursday|friday|saturday|sunday|januar|februar|märz|mai|juni|juli|oktober|dezember|
        janvier|février|mars|avril|juin|juillet|août|septembre|octobre|novembre|décembre|enero|febrero|marzo|abril|mayo|junio|julio|
        agosto|septiembre|octubre|noviembre|diciembre|gennaio|febbraio|aprile|maggio|giugno|luglio|settembre|ottobre|dicembre|
        janeiro|fevereiro|março|maio|junho|julho|setembro|outubro|novembro|dezembro|января|февраля|марта|апреля|мая|июня|июля|
        августа|сентября|октября|ноября|декабря""",
    "caption": """photo|photos|photograph|photographer|image|images|image credit|photo credit|credit|picture|pictured|pictures|getty|getty images|
        file photo|photo by|image source|shutterstock|ap photo|via|courtesy|courtesy of|handout|illustration|screenshot|screengrab|
        gallery|slideshow|video|watch|play|photo courtesy|unsplash|pixabay|istock|alamy|wikimedia|source|left|right|center|above|
        below|seen here|enlarge|caption|foto|bild|quelle|bildquelle|crédit|crédits|photographie|vidéo|légende|imagen|fotografía|
        fuente|immagine|imagem|reprodução|afbeelding|фото|видео|zdjęcie|fot|видеo|图|图片|摄|写真|image caption|image copyright""",
    "link": "http|https|www|com|org|net|html|php|href|utm|mailto|png|jpg|jpeg|gif|svg|javascript|undefined|null|loading",
    "reader": "i|my|me|i m|i ve|lol|thanks|thank you|your|you|imo|btw|i think|great article|nice post|agree|click|here|click here",
}
"""Each cue with its phrases, parted by bars."""


def phrases(cue: str) -> list[str]:
    """The phrases of a cue, each with single blanks between its words."""
    return sorted({" ".join(phrase.split()) for phrase in CUES[cue].split("|")} - {""})
