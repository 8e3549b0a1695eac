"""Words that tell a language where a prompt is too short for statistics: articles, and what people paint."""

# ruff: noqa: RUF001 - letters that look like others are the point

from __future__ import annotations

SMALL_WORDS = {
    "cs": "a na nad od pod při s se ve z ze",
    "da": "af en et i med og på under ved",
    "de": (
        "als am an auf aus bei das dem den der des die drei ein eine einem einen einer im mit und vier vom "
        "von zum zur zwei"
    ),
    "es": "al con de del desde dos el en la las los por sin sobre su tres un una unas unos y",
    "fr": "au aux avec d dans de des deux du en et l la le les par sans sous sur trois un une",
    "hu": "a az egy és",
    "id": "dan dari dengan di dua ke pada sebuah seekor seorang yang",
    "it": (
        "ai al alla che con dal del della di due e gli i il in la le lo nel nella per su sul sulla tre un "
        "una uno"
    ),
    "nl": "aan bij de een en het in met naar op te twee van voor zonder",
    "no": "av en et i med og på under ved",
    "pl": "do dwa dwie i na nad o od pod przy trzy w z ze",
    "pt": "a ao aos as com da das de do dois dos duas e em na nas no nos o os por sem um uma",
    "ro": "cu din la o pe un în și",
    "sv": "av en ett i med och på tre två under utan vid",
    "tr": "bir iki ile ve üç",
}
"""What even a prompt of two words may hold of a language."""

ARTICLES = {
    "da": "en et",
    "de": "das der die ein eine",
    "es": "el la las los un una",
    "fr": "la le les un une",
    "it": "gli i il la le lo un una uno",
    "nl": "de een het",
    "no": "en et",
    "pt": "a as o os um uma",
    "ro": "o un",
    "sv": "en ett",
    "tr": "bir",
}
"""Small words that a prompt begins with."""

COMMON_WORDS = {
    "da": (
        "barn bjerg blomst blomster blå by båd fisk fugl gammel grøn hav havet hest himmel hund hus hvid "
        "kat kirke kvinde lys mand måne nat pige regn rød skib skov slot sne solnedgang sort strand sø træ "
        "vinter"
    ),
    "de": (
        "abend alt alte alter altes baum berg berge bild blau blaue blauer blume blumen brücke bär bäume "
        "dach drache drachen engel feld fenster feuer fisch fluss frau frauen garten gelb gelbe gesicht "
        "grün grüne grüner haus himmel hund hunde häuser hütte junge junger katze katzen kind kinder kirche "
        "könig königin küste landschaft leuchtturm licht löwe mann meer mond mädchen männer nacht nebel "
        "pferd pferde regen ritter rot rote roter rotes schiff schloss schnee schwarz schwarze schwarzer "
        "see sommer sonne stadt stern sterne strand straße tisch tür vogel vögel wald wasser weiß weiße "
        "wolken zauberer zug"
    ),
    "es": (
        "abuela agua anciano azul barco blanca blanco bosque caballero caballo caballos calle campo casa "
        "castillo chica chico cielo ciudad coche flor flores fuego gata gatito gato gatos hombre iglesia "
        "isla jardín lago león libro lluvia luna luz madera mar mariposa mercado montaña montañas mujer "
        "negra negro nieve niña niño noche nubes ojos oso otoño perra perrito perro perros pez playa "
        "primavera pueblo puente puerta pájaro reina retrato rey roja rojo río sol sombrero tren verano "
        "verde vieja viejo viento zorro árbol árboles"
    ),
    "fr": (
        "arbre arbres automne bateau blanc blanche bleu bleue bois chat chaton chats cheval chevaux chien "
        "chienne chiens château ciel dame enfant enfants femme femmes feu fille fleur fleurs fleuve forêt "
        "garçon hiver homme jardin jaune jeune lac lapin loup lumière lune maison mer montagne montagnes "
        "neige noir noire nuages nuit oiseau oiseaux ours paysage petit petite phare plage pluie poisson "
        "pont porte reine renard rivière robe roi rouge rue soleil souris tableau tour vache verte vieil "
        "vieille vieux ville visage voiture église étoile étoiles été île"
    ),
    "id": (
        "air anak anjing api awan bayi beruang besar biru bulan bunga burung danau gadis gajah gunung hijau "
        "hitam hujan hutan ikan istana jalan jembatan kapal kastil kecil kota kucing kuda kuning kupu "
        "langit laut lelaki lukisan malam mata matahari merah mobil naga orang pantai perempuan pohon "
        "potret pria putih rubah rumah salju sungai taman tua wanita"
    ),
    "it": (
        "acqua alberi albero autunno azzurro bambina bambino barca bianca bianco bosco cane cani casa "
        "castello cavaliere cavalli cavallo chiesa cielo città collina donna drago farfalla fiore fiori "
        "fiume foresta fuoco gatta gatti gattino gatto giallo giardino inverno isola lago leone luce luna "
        "lupo mare mercato montagna montagne nebbia nera nero neve notte nuvole occhi orso paesaggio pesce "
        "pioggia ponte porta ragazza ragazzo regina ritratto rosa rossa rosso sole spiaggia stella stelle "
        "strada tramonto treno uccelli uccello uomo vecchia vecchio verde volpe"
    ),
    "nl": (
        "appel avond beer berg bergen blauw blauwe bloem bloemen bomen boom boot bos brug dak eenhoorn "
        "fiets gele gezicht groen groene herfst hond honden huis huizen jongen kasteel kat katten kerk kind "
        "kinderen koe koning koningin landschap leeuw licht lucht maan man meer meisje mist molen nacht "
        "oude paard paarden regen ridder rivier rode rood schilderij schip sneeuw stad ster sterren straat "
        "strand tovenaar trein tuin vis vogel vogels vos vrouw vuur vuurtoren witte wolk wolken zee zomer "
        "zon zonsondergang zwart zwarte"
    ),
    "no": (
        "barn blomst blomster blå by båt fisk fjell fjellet fugl gammel grønn hav havet hest himmel hund "
        "hus hvit jente katt kirke kvinne lys mann måne natt regn rød sjø skip skog slott snø solnedgang "
        "strand svart tre vinter"
    ),
    "pl": (
        "białe biały chmury chłopiec czarna czarny czerwona czerwony dom domy drzewa drzewo dziecko "
        "dziewczyna góra góry jesień jezioro kobieta konie kot koty koń kościół krajobraz księżyc kwiat "
        "kwiaty las latarnia lato lew lis miasto morze most mężczyzna nad niebieski niebo noc ogień ogród "
        "pies plaża pole portret ptak ptaki ryba rycerz rzeka samochód smok stara stary słońce ulica wieża "
        "wilk woda wróżka zachód zamek zielona zielony zima łódź śnieg żółty"
    ),
    "pt": (
        "amarelo azul barco branca branco cachorro cachorros carro casa castelo cavaleiro cavalo chuva "
        "cidade coelho cão céu estrela estrelas flor flores floresta fogo gata gatinho gato gatos homem "
        "igreja ilha inverno jardim lago leão livro lobo lua luz mar menina menino montanha montanhas "
        "mulher neve noite nuvens olhos outono paisagem peixe ponte porta praia preta preto pássaro rainha "
        "raposa rei retrato rosa rua sol trem urso velha velho verde vermelha vermelho água árvore árvores"
    ),
    "sv": (
        "barn berg björn blomma blommor blå båt drake eld fisk fjäll flicka fågel fåglar gammal gammalt "
        "grön gul hav havet himlen himmel hund hundar hus häst höst katt katter kung kvinna kyrka landskap "
        "ljus mån måne månen natt pojke regn räv röd röda rött sjö skepp skog skogen slott snö sol solen "
        "solnedgång sommar stad staden stjärna stjärnor strand svart trä träd trädgård tåg varg vatten vit "
        "vita ängel äpple"
    ),
    "tr": (
        "adam aslan at ateş ay ağaç ağaçlar bahçe balık beyaz bulut bulutlar büyük dağ dağlar deniz ejderha "
        "ev evler gece gemi gökyüzü göl güneş güzel kadın kale kalesi kar karanlık kedi kediler kelebek "
        "kitap kurt kuş kuşlar köpek köpekler köprü köy kırmızı kız kış mavi mor nehir orman portre sahil "
        "sarı siyah sokak tilki yaz yağmur yaşlı yeşil yıldız yıldızlar çiçek çiçekler çocuk ırmak şehir"
    ),
}
"""What people paint most, and in which colours."""

ENGLISH_WORDS = "an and at by for from his her into its near of on riding the through towards wearing with"
"""What hardly stands in a prompt of another language."""
ALSO_ENGLISH = (
    "a air al am an as at barn bear beer berg bin blanc bleu bulan casa casino con da damen de del den des "
    "di die do dos drake due e el en flor gul hat home hound i in is kind la las le les lo los luna man "
    "mare mars met mist moor mor nero no noir o on open or over pan pass per pies pod pole pond port porta "
    "portal portret ros rosa rosso rot rouge sin sol sole sombrero star sun te tiger to tour tre under van "
    "verde via vis visage vita volt von was water winter wolf y yaz"
)
"""Words of others that may be English or a name, too, and tell little."""
JARGON = (
    "anime artstation bokeh cgi dof dslr hd hdr jpeg kawaii lowres manga nouveau nsfw octane png pov sfw "
    "sks uhd vaporwave watermark"
)
"""Words of English prompts that are in no dictionary."""
