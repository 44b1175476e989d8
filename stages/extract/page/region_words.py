"""The words that recur in the names of unrelated sites, by the kind of place that they name
(`names`).
"""

from typing import Final

# Region -> (tags that open it, words that open it). A word that two regions list belongs to the
# first.
REGION_WORDS: Final = {
    "navigation": ("nav", "nav navigation navbar topnav subnav navi sitenav menubar navbox"),
    "menu": (
        "menu",
        "menu menus submenu dropdown megamenu mainmenu menuitem flyout offcanvas drawer hamburger",
    ),
    "header": (
        "header",
        "header masthead banner topbar siteheader pageheader head top logo branding",
    ),
    "footer": (
        "footer",
        "footer colophon bottom sitefooter pagefooter contentinfo footnav foot powered siteinfo "
        "subfooter prefooter fineprint bottombar footerlinks",
    ),
    "aside": ("aside", "aside complementary rail sidecolumn"),
    "sidebar": (
        "",
        "sidebar sidebars side sidenav leftbar rightbar leftcol rightcol leftcolumn rightcolumn "
        "leftnav rightnav secondary tertiary sidebox sidebarright sidebarleft rightside "
        "leftside rightsidebar leftsidebar colright colleft rightrail leftrail",
    ),
    "widget": (
        "",
        "widget widgets module panel portlet gadget textwidget widgettitle widgetcontent "
        "widgetarea",
    ),
    "main": ("main", "main maincontent primary maincontainer"),
    "article": (
        "article",
        "article articles blogposting newsarticle hentry artikel articulo articolo artigo "
        "artykul noticia notizia haber statya mainarticle articledetail articlebox newsdetail",
    ),
    "content": (
        "",
        "content contents contentarea pagecontent bodycontent richtext wysiwyg prose rte inhalt "
        "contenido contenu contenuto conteudo tresc inhoud icerik obsah innehall",
    ),
    "body": (
        "",
        "articlebody postbody entrycontent postcontent articlecontent storybody bodytext "
        "articletext storytext articlecopy body story cuerpo corpo fulltext maintext "
        "storycontent newstext newsbody newscontent detailtext articlemain artbody artcontent "
        "artibody contenttext endtext arttext trs pagetext texte texto testo tekst articletxt "
        "txt storytxt brodtext articlecontents articleparagraph paragraphs",
    ),
    "post": ("", "post posts entry entries blog blogpost singlepost single"),
    "text": (
        "",
        "text copy description desc paragraph excerpt summary intro lead lede standfirst teaser "
        "abstract dek deck subhead subheadline strapline sapo chapeau vorspann ingress kicker "
        "blurb introtext leadtext",
    ),
    "comment": (
        "",
        "comment comments commentlist disqus respond commentform reply replies discussion "
        "commenter commentbody commenttext commentbox commentarea commentblock commentcontent "
        "commentmeta commentmetadata commentauthor commentdate commentlink commentcount "
        "commentcontainer commentwrapper commentsection commentslist commentssection "
        "commentsblock commentsbox commentscontainer commentsform commentsarea commentstext "
        "addcomment addcomments postcomment postcomments usercomment usercomments "
        "articlecomment articlecomments readercomments leavecomment nocomments recentcomment "
        "recentcomments fbcomments facebookcomments disqusthread dsq livefyre intensedebate "
        "cusdis giscus utterances hypercomments spotim openweb viafoura remark commento isso "
        "wpdiscuz akismet trackback trackbacks pingback pingbacks replyto guestbook kommentar "
        "kommentare kommentarer kommentti komentar komentarz komentarze komentarai komentari "
        "commentaire commentaires comentario comentarios commenti commentmodule reactie "
        "reacties yorum yorumlar pinglun opinie opinions letters discuss discussions",
    ),
    "message": (
        "",
        "message messages messagetext thread topic question answer answers postcell votes mod "
        "qa forum forums board bbs postbit postcontainer postlist postrow threadlist topiclist "
        "threadbit bbcode vbulletin xenforo phpbb vote threads",
    ),
    "share": (
        "",
        "share sharing social socials sharebar addtoany addthis sharethis sharedaddy facebook "
        "twitter whatsapp pinterest follow linkedin plusone reddit digg tweet tumblr telegram "
        "instagram youtube rss vk vkontakte odnoklassniki stumbleupon delicious flipboard "
        "googleplus sharelinks sharetools sharebuttons shareline socialmedia socialbar "
        "sociallinks socialshare followus bookmark bookmarks toolbox weibo wechat xing",
    ),
    "related": (
        "",
        "related recommended recommendations recommendation recommend similar more morefrom "
        "readmore popular trending latest recent mostread next previous prev also suggested "
        "upsell crosssell outbrain taboola yarpp jp relatedposts relatedarticles relatedlinks "
        "relatedcontent relatednews relatedstories seealso recentposts recentarticles "
        "latestnews latestposts mostpopular mostviewed mostcommented popularposts topstories "
        "topnews morenews morestories upnext readnext nextarticle nextpost stories featured "
        "headlines hot relacionadas relacionados verwandte similarposts zergnet revcontent mgid "
        "engageya",
    ),
    "promotion": (
        "",
        "promo promotion ad ads advert advertisement adverts sponsor sponsored adsense "
        "advertising banner cta campaign offer offers deals leaderboard skyscraper adv "
        "advertise advertisment gpt dfp mpu doubleclick adslot adslots adunit adcontainer adbox "
        "adbanner adwrapper adspace adarea adblock googlead googleads sponsors sponsoring "
        "partner partners werbung anzeige publicidad publicite reklama promobox promos "
        "marketing affiliate",
    ),
    "newsletter": (
        "",
        "newsletter subscribe subscription signup optin mailchimp mailing register registration "
        "join",
    ),
    "consent": (
        "",
        "cookie cookies consent gdpr privacy ccpa onetrust notice disclaimer cookiebar policy",
    ),
    "overlay": (
        "dialog",
        "modal popup overlay lightbox dialog tooltip toast popover popups alertdialog",
    ),
    "breadcrumb": (
        "",
        "breadcrumb breadcrumbs crumbs crumb bread breadcrumblist path youarehere",
    ),
    "pagination": (
        "",
        "pagination pager paging pagenav paginator pages nextprev postnav older newer pagelinks "
        "navlinks postnavigation articlenav",
    ),
    "author": (
        "",
        "author authors byline bio vcard writer contributor avatar profile signature about "
        "authorbox authorbio authorinfo authorname reporter columnist journalist autor auteur "
        "autore biography biobox aboutauthor correspondent",
    ),
    "metadata": (
        "",
        "meta metadata date time published timestamp dateline posted info infos pubdate updated "
        "datetime stats views source sources publish publishdate pubtime publishtime postmeta "
        "entrymeta articlemeta postdate postinfo articleinfo articledate datetimes counter "
        "count timeago created month year",
    ),
    "tags": (
        "",
        "tag tags tagcloud taglist keywords category categories cat topics labels label "
        "taxonomy term tagged keyword hashtags",
    ),
    "title": ("", "title headline heading header subtitle pagetitle entrytitle name"),
    "caption": (
        "figure figcaption caption",
        "caption wpcaption credit figure photo imagecaption image thumb thumbnail img picture "
        "photos images pic pics imgcaption imagecredit photocredit",
    ),
    "contents_table": ("", "toc tableofcontents outline jump anchors"),
    "search": (
        "search",
        "search searchbox searchform searchbar filter filters sort sorting facet facets",
    ),
    "form": (
        "form fieldset label",
        "form forms input field fields contact contactform login signin account password submit "
        "captcha recaptcha checkbox textarea placeholder radio required",
    ),
    "button": (
        "button",
        "button buttons btn btns action actions toolbar tools controls toggle click close "
        "cancel send icon icons tool toggler loadmore showmore viewmore seemore",
    ),
    "product": (
        "",
        "product products price prices cart shop item sku woocommerce buy basket checkout offer "
        "variant stock",
    ),
    "review": (
        "",
        "review reviews rating ratings testimonial testimonials stars feedback quote quotes",
    ),
    "card": (
        "",
        "card cards tile tiles box boxes block blocks feature features grid column columns",
    ),
    "list": (
        "",
        "list listing listings items results result feed archive archives directory loop",
    ),
    "slide": (
        "",
        "slider slide slides carousel gallery swiper slick hero jumbotron splash cover",
    ),
    "accordion": (
        "details",
        "accordion accordions faq faqs collapse collapsible tab tabs tabpanel tabcontent tabpane "
        "tabitem pane panel toggle expander spoiler",
    ),
    "section": ("section", "section sections region container wrapper row inner"),
    "documentation": (
        "",
        "doc docs documentation document markdown rst sphinx manual guide reference api wiki mw "
        "parser",
    ),
    "code": (
        "pre code",
        "code highlight sourcecode snippet syntax codehilite prettyprint hljs",
    ),
    "quotation": ("blockquote", "blockquote pullquote pull"),
    "hidden": (
        "",
        "hidden invisible hide sr only screenreader visuallyhidden offscreen skip skiplink "
        "noprint print assistive visually focusable collapsed nojs printonly",
    ),
    "legal": ("", "copyright legal terms copyrights imprint credits licence license"),
    "user": (
        "",
        "user users username member members userinfo postprofile online rank joined userbox "
        "usermenu logged logout",
    ),
    "event": (
        "",
        "event events calendar schedule job jobs career careers team staff location locations "
        "map address hours",
    ),
    "ticker": ("", "live ticker breaking news weather stock score scores poll quiz"),
    "edit": (
        "",
        "edit editsection permalink headerlink anchor tooltip print email download pdf report "
        "flag hnt lang languages language",
    ),
    "table": ("table", "table infobox datatable specs specification specifications"),
    "references": (
        "",
        "reference references footnote footnotes reflist citation citations cite bibliography "
        "notes note",
    ),
    "item": ("li dd dt", ""),
    "address": ("address", ""),
    "no_script": ("noscript", "noscript"),
    "not_shown": ("", ""),  # `hidden` or `display: none`
    "not_spoken": ("", ""),  # `aria-hidden`
    "links": ("", "link links external url quicklinks linklist"),
    "left_or_right": ("", "left right"),
    "media": (
        "",
        "video videos player media embed embedded iframe attachment podcast audio playlist",
    ),
    "paywall": (
        "",
        "paywall premium subscriber subscribers metered regwall piano locked unlock paid",
    ),
    "person": ("", "person profilepage"),
}
