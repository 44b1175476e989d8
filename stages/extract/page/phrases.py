"""Phrases that open a part of a page which is not its main text: `Leave a comment`, `Related
stories`, `Share this`, `Filed under`.

A short block that begins with a phrase is of the phrase's sort. Words with digits do not count, so
`12 comments` is `comments`. The features say how many blocks ago each sort was met. They only
inform the model: a heading `Related work` in a paper is still judged by all the rest.
"""

import functools
from collections.abc import Iterator
from typing import Final

from corpusmill.stages.extract.page.character_kinds import (
    DIGIT,
    IDEOGRAPH,
    KIND,
    LETTER,
    MARK,
    character_table,
)
from corpusmill.stages.extract.page.hashing import (
    FNV_OFFSET,
    FNV_PRIME,
    HashTable,
    table_of_codes,
    word_hash,
)

LONGEST_PHRASE: Final = 6  # words
LONGEST_BLOCK: Final = 14  # words, in a block that may open with a phrase

_PHRASES: Final = {
    "comments": (
        "comments; comment; comments on; leave a comment; leave a reply; leave a response; "
        "leave comment; post a comment; post comment; add a comment; "
        "add comment; add your comment; "
        "add your comments; write a comment; submit a comment; make a comment; comments for; "
        "no comments; no comments yet; one comment; one response; "
        "one response to; one thought on; "
        "responses; responses to; thoughts on; replies; replies to; reader comments; "
        "user comments; recent comments; top comments; top rated comments; view comments; "
        "view all comments; show comments; read comments; see all comments; "
        "join the conversation; "
        "join the discussion; have your say; what do you think; "
        "share your thoughts; discussion; "
        "comments are closed; comments closed; comments powered by; comment policy; "
        "your email address will not be published; you must be logged in; log in to comment; "
        "sign in to comment; login to comment; reply; reply to; said; says; cancel reply; "
        "kommentare; kommentar; kommentar schreiben; kommentar verfassen; kommentieren; "
        "diskussion; schreibe einen kommentar; schreiben sie einen kommentar; leserkommentare; "
        "kommentar hinterlassen; antwort; antworten; antworten auf; "
        "keine kommentare; ihr kommentar; "
        "gedanken zu; diskutieren sie mit; "
        "commentaires; commentaire; laisser un commentaire; ajouter un commentaire; réagir; "
        "réactions; répondre; vos commentaires; aucun commentaire; poster un commentaire; "
        "comentarios; comentario; deja un comentario; dejar un comentario; deja una respuesta; "
        "responder; añadir comentario; escribe un comentario; sin comentarios; "
        "commenti; commento; lascia un commento; rispondi; scrivi un commento; nessun commento; "
        "comentários; comentário; deixe um comentário; deixe uma resposta; "
        "reacties; reactie; reageer; plaats een reactie; geef een reactie; "
        "laat een reactie achter; "
        "komentarze; komentarz; dodaj komentarz; skomentuj; odpowiedz; "
        "wasze komentarze; opinie; "
        "wszystkie komentarze; brak komentarzy; forum; najnowsze komentarze; "
        "комментарии; комментарий; комментариев; комментировать; добавить комментарий; "
        "оставить комментарий; ответить; обсуждение; обсудить; ваш комментарий; отзывы; "
        "написать комментарий; последние комментарии; коментарі; коментар; додати коментар; "
        "komentáře; komentář; přidat komentář; diskuse; komentari; komentar; ostavite komentar; "
        "kommentarer; kommentera; svar; skriv en kommentar; legg igjen en kommentar; kommentit; "
        "σχόλια; σχόλιο; σχολιάστε; προσθήκη σχολίου; απάντηση; γράψτε το σχόλιό σας; "
        "yorumlar; yorum; yorum yap; yorum yaz; hozzászólások; hozzászólás; comentarii; "
        "评论; 网友评论; 发表评论; 我要评论; 最新评论; 相关评论; 评论列表; 留言; 跟帖; 回复; "
        "コメント; コメントする; コメントを書く; 댓글; 댓글 쓰기; ความคิดเห็น; bình luận; "
        "التعليقات; تعليق; أضف تعليق; تعليقات; תגובות"
    ),
    "related": (
        "related; related articles; related stories; related posts; "
        "related news; related content; "
        "related links; related topics; related reading; related coverage; related videos; "
        "related products; related items; related pages; related searches; similar articles; "
        "similar posts; similar stories; similar; see also; read more; read also; read next; "
        "also read; also on; also in; you may also like; you might also like; you may like; "
        "you might like; you may also be interested; you might be interested; more; more from; "
        "more in; more on; more stories; more news; more articles; more posts; more like this; "
        "more about; more on this; most read; most popular; most viewed; "
        "most commented; most shared; "
        "most recent; popular; popular posts; popular articles; popular stories; popular now; "
        "trending; trending now; trending stories; trending topics; latest; latest news; "
        "latest posts; latest articles; latest stories; latest headlines; recent; recent posts; "
        "recent articles; recent news; recent stories; recent entries; recommended; "
        "recommended for you; recommended reading; recommended stories; recommended articles; "
        "top stories; top news; top posts; other stories; other news; "
        "other articles; other posts; "
        "editors picks; editor's picks; editor s picks; featured; "
        "featured posts; featured stories; "
        "featured articles; what to read next; up next; next article; next post; next story; "
        "previous article; previous post; previous story; next; previous; "
        "older posts; newer posts; "
        "older post; newer post; don't miss; don t miss; in case you missed it; "
        "from around the web; around the web; from the web; promoted stories; sponsored links; "
        "sponsored content; in this section; archives; archive; blogroll; headlines; "
        "verwandte artikel; ähnliche artikel; ähnliche beiträge; mehr zum thema; zum thema; "
        "weitere artikel; weitere meldungen; weitere themen; mehr; mehr aus; mehr von; "
        "lesen sie auch; lesen sie mehr; lesen sie hier; auch interessant; das könnte sie auch; "
        "das könnte dich auch; das könnte sie interessieren; meistgelesen; "
        "meistgelesene artikel; "
        "neueste artikel; aktuelle nachrichten; aktuelle beiträge; neueste beiträge; empfohlen; "
        "empfehlungen; top artikel; nächster artikel; vorheriger artikel; vorheriger beitrag; "
        "nächster beitrag; links zum thema; mehr dazu; passend dazu; "
        "articles similaires; articles liés; à lire aussi; lire aussi; sur le même sujet; "
        "à lire également; les plus lus; les plus populaires; voir aussi; "
        "dans la même rubrique; "
        "à voir aussi; derniers articles; articles récents; plus d articles; en savoir plus; "
        "artículos relacionados; noticias relacionadas; relacionado; "
        "relacionados; lo más leído; "
        "lo más visto; lea también; lee también; te puede interesar; "
        "también te puede interesar; "
        "últimas noticias; más noticias; entradas recientes; más información; ver también; "
        "articoli correlati; leggi anche; potrebbe interessarti; i più letti; ultime notizie; "
        "articoli recenti; ti potrebbe interessare; "
        "leia também; leia mais; notícias relacionadas; artigos relacionados; mais lidas; "
        "veja também; últimas notícias; posts relacionados; "
        "lees ook; lees meer; gerelateerde artikelen; meest gelezen; "
        "meer nieuws; ook interessant; "
        "czytaj także; czytaj też; zobacz także; zobacz też; przeczytaj także; przeczytaj też; "
        "powiązane artykuły; podobne artykuły; najczęściej czytane; "
        "najpopularniejsze; najnowsze; "
        "więcej; więcej na ten temat; polecamy; polecane; inne artykuły; czytaj więcej; "
        "ostatnie wpisy; warto przeczytać; na skróty; "
        "читайте также; читать также; смотрите также; похожие новости; похожие статьи; "
        "похожие материалы; другие новости; последние новости; "
        "новости по теме; материалы по теме; "
        "по теме; ещё по теме; еще по теме; самое читаемое; популярное; популярные; "
        "популярные новости; популярные статьи; самые читаемые; "
        "новости партнеров; главные новости; "
        "главное; лента новостей; другие материалы; статьи по теме; "
        "ссылки по теме; рекомендуем; "
        "новости; все новости; подробнее; читайте; топ новостей; ранее; в тему; "
        "читайте також; схожі новини; останні новини; související články; čtěte také; "
        "läs mer; läs också; relaterade artiklar; les også; læs også; lue myös; lue lisää; "
        "σχετικά άρθρα; σχετικά; διαβάστε επίσης; διαβάστε ακόμη; δείτε επίσης; περισσότερα; "
        "τελευταία νέα; δημοφιλή; "
        "ilgili haberler; benzer haberler; diğer haberler; bunlar da ilginizi çekebilir; "
        "kapcsolódó cikkek; ajánlott; citește și; "
        "相关阅读; 相关新闻; 相关文章; 相关报道; 相关链接; "
        "相关推荐; 延伸阅读; 推荐阅读; 热门文章; "
        "热点新闻; 更多; 更多新闻; 最新文章; 精彩推荐; "
        "图片新闻; 热门推荐; 今日热点; 上一篇; 下一篇; "
        "新闻排行; 新闻热搜; 编辑推荐; 热点推荐; 你可能喜欢; "
        "猜你喜欢; 相關新聞; 相關文章; 延伸閱讀; "
        "関連記事; 関連リンク; 関連ニュース; おすすめ; おすすめ記事; "
        "人気記事; 最新記事; 次の記事; 前の記事; "
        "あわせて読みたい; ランキング; アクセスランキング; 관련기사; "
        "관련 기사; 많이 본 뉴스; 인기 기사; "
        "baca juga; tin liên quan; اقرأ أيضا; مواضيع ذات صلة; أخبار ذات صلة; المزيد"
    ),
    "share": (
        "share; share this; share on; share via; share it; share article; share this article; "
        "share this post; share this story; share this page; share this entry; sharing; "
        "tweet; tweet this; like; like this; like us; follow; follow us; follow me; email; "
        "email this; email article; print; print this; print article; "
        "print page; save; bookmark; "
        "send; send to; send to a friend; tell a friend; facebook; twitter; digg; stumbleupon; "
        "delicious; reddit; pinterest; linkedin; whatsapp; copy link; rate this; rating; vote; "
        "teilen; artikel teilen; drucken; empfehlen; merken; versenden; senden; folgen sie uns; "
        "partager; partagez; imprimer; envoyer; suivez nous; compartir; comparte; imprimir; "
        "enviar; síguenos; condividi; stampa; seguici; compartilhar; compartilhe; delen; deel; "
        "udostępnij; drukuj; wyślij; podziel się; poleć; lubię to; oceń; "
        "поделиться; поделитесь; печать; распечатать; версия для печати; отправить; "
        "поделиться с друзьями; код для блога; dela; del; jaa; κοινοποίηση; εκτύπωση; paylaş; "
        "分享; 分享到; 打印; 收藏; 推荐; 我要分享; 字号; シェア; シェアする; ツイート; 印刷; 공유"
    ),
    "author": (
        "about the author; about author; about; by; written by; posted by; author; "
        "published by; contributors; more by; view all posts by; posts by; bio; biography; "
        "view my complete profile; about me; contact the author; über den autor; autor; von; "
        "zur person; à propos de l auteur; auteur; par; sobre el autor; por; autore; di; "
        "o autorze; autor tekstu; автор; об авторе; текст; συντάκτης; yazar; "
        "作者; 编辑; 责任编辑; 来源; "
        "記者; 著者"
    ),
    "tags": (
        "tags; tag; tagged; tagged with; filed under; filed in; posted in; "
        "categories; category; "
        "categorized; topics; topic; keywords; labels; posted on; posted at; posted; published; "
        "updated; last updated; last modified; modified; source; via; "
        "schlagwörter; schlagworte; "
        "themen; stichworte; kategorie; kategorien; veröffentlicht; quelle; "
        "mots clés; étiquettes; "
        "thèmes; catégories; publié; etiquetas; temas; categorías; publicado; "
        "fuente; argomenti; "
        "tagi; słowa kluczowe; kategorie; źródło; data; теги; метки; ключевые слова; рубрика; "
        "рубрики; категории; источник; опубликовано; дата; ετικέτες; πηγή; etiketler; kaynak; "
        "标签; 关键词; 发布时间; タグ; カテゴリ; カテゴリー; 태그"
    ),
    "subscribe": (
        "subscribe; subscribe to; newsletter; newsletters; sign up; sign up for; get the; "
        "get our; join our; register; login; log in; sign in; enter your email; email address; "
        "already a subscriber; already a member; become a member; rss; rss feed; support us; "
        "donate; download our app; abonnieren; jetzt abonnieren; anmelden; registrieren; "
        "s abonner; abonnez vous; inscrivez vous; suscríbete; suscribirse; iscriviti; abbonati; "
        "assine; abonneer; zapisz się; zaloguj się; zaloguj; zarejestruj się; подписаться; "
        "подпишитесь; подписка; войти; регистрация; вход; εγγραφή; abone ol; "
        "订阅; 登录; 注册; ログイン"
    ),
    "notice": (
        "copyright; all rights reserved; privacy policy; terms of use; terms of service; "
        "terms and conditions; contact; contact us; advertise; advertisement; advertising; "
        "sponsored; disclaimer; disclosure; legal notice; cookies; "
        "we use cookies; this site uses; "
        "powered by; home; back to top; photo; photos; photo by; photo credit; image; images; "
        "image credit; picture; credit; getty images; video; videos; gallery; anzeige; werbung; "
        "impressum; datenschutz; foto; bild; bilder; bildergalerie; publicité; "
        "mentions légales; "
        "crédit photo; publicidad; aviso legal; pubblicità; publicidade; advertentie; reklama; "
        "zdjęcia; zdjęcie; kontakt; реклама; контакты; фото; видео; διαφήμιση; "
        "φωτογραφία; reklam; "
        "广告; 版权所有; 免责声明; 写真; 画像; 광고"
    ),
}
SORTS: Final = tuple(_PHRASES)


@functools.lru_cache(maxsize=1)
def phrase_table() -> HashTable:
    """Hash of a phrase -> the number of its sort, from 1. A phrase that two sorts list belongs to
    the first.
    """
    codes: dict[int, int] = {}
    for number, phrases in enumerate(_PHRASES.values(), 1):
        for phrase in phrases.split(";"):
            codes.setdefault(phrase_hash(phrase), number)
    return table_of_codes(codes)


def phrase_hash(phrase: str) -> int:
    """The hash of a phrase's words, as `block_text` makes it of the first words of a block."""
    code = int(FNV_OFFSET)
    for word in _words(phrase):
        one = word_hash(word) if len(word) > 1 or not _is_ideograph(word) else ord(word)
        code = ((code ^ one) * int(FNV_PRIME)) & 0xFFFFFFFFFFFFFFFF
    return code


def _words(phrase: str) -> Iterator[str]:
    """Words as `block_text` sees them."""
    word = ""
    for character in f"{phrase.lower()} ":
        kind = character_table()[ord(character)] & KIND
        if kind in (LETTER, DIGIT, MARK):
            word += character
            continue
        if word:
            yield word
            word = ""
        if kind == IDEOGRAPH:
            yield character


def _is_ideograph(character: str) -> bool:
    return bool(character_table()[ord(character)] & KIND == IDEOGRAPH)
