"""What people and forges call licences, and the SPDX identifier of each name.

The full names are those of GitHub's interface (choosealicense.com). Its short keys, such as
`apache-2.0`, are SPDX identifiers in lower case. The permissive list follows that of The Stack
(Kocetkov et al. 2022, arXiv 2211.15533): licences with few conditions on who copies, changes and
distributes the code.
"""

import re
from typing import Final

from corpusmill.stages.licences.creative_commons import creative_commons

PERMISSIVE: Final = (
    *("0BSD", "AFL-3.0", "Apache-1.1", "Apache-2.0", "Artistic-2.0", "BlueOak-1.0.0"),
    *("BSD-1-Clause", "BSD-2-Clause", "BSD-2-Clause-Patent", "BSD-3-Clause"),
    *("BSD-3-Clause-Clear", "BSD-3-Clause-LBNL", "BSD-Source-Code", "BSL-1.0", "CC-BY-3.0"),
    *("CC-BY-4.0", "CC0-1.0", "curl", "ECL-2.0", "FTL", "HPND", "ICU", "ISC", "libpng-2.0"),
    *("MIT", "MIT-0", "MS-PL", "MulanPSL-2.0", "NCSA", "NTP", "PHP-3.01", "PostgreSQL"),
    *("PSF-2.0", "Python-2.0", "Ruby", "Unicode-3.0", "Unicode-DFS-2016", "Unlicense"),
    *("UPL-1.0", "Vim", "W3C", "WTFPL", "X11", "Xnet", "Zlib", "ZPL-2.1"),
)
UNKNOWN: Final = (
    *("", "noassertion", "none", "null", "n/a", "other", "unknown", "no license"),
    *("other license",),
)
# Names as `_plain` spells them: lower case, no quotes and commas, `2.0` for `version 2.0`.
SPOKEN: Final = {
    "academic free license 3.0": "AFL-3.0",
    "agpl": "AGPL-3.0-only",
    "agplv3": "AGPL-3.0-only",
    "apache": "Apache-2.0",
    "apache 2": "Apache-2.0",
    "apache 2.0": "Apache-2.0",
    "apache license": "Apache-2.0",
    "apache license 2": "Apache-2.0",
    "apache license 2.0": "Apache-2.0",
    "apache software license": "Apache-2.0",
    "apache software license 2.0": "Apache-2.0",
    "artistic license 2.0": "Artistic-2.0",
    "blue oak model license 1.0.0": "BlueOak-1.0.0",
    "boost software license 1.0": "BSL-1.0",
    "bsd": "BSD-3-Clause",
    "bsd 2-clause": "BSD-2-Clause",
    "bsd 2-clause license": "BSD-2-Clause",
    "bsd 2-clause simplified license": "BSD-2-Clause",
    "bsd 3-clause": "BSD-3-Clause",
    "bsd 3-clause clear license": "BSD-3-Clause-Clear",
    "bsd 3-clause license": "BSD-3-Clause",
    "bsd 3-clause new or revised license": "BSD-3-Clause",
    "bsd 4-clause original or old license": "BSD-4-Clause",
    "bsd license": "BSD-3-Clause",
    "bsd zero clause license": "0BSD",
    "bsd-2-clause plus patent license": "BSD-2-Clause-Patent",
    "creative commons attribution 4.0 international": "CC-BY-4.0",
    "creative commons attribution share alike 4.0 international": "CC-BY-SA-4.0",
    "creative commons zero 1.0 universal": "CC0-1.0",
    "do what the f*ck you want to public license": "WTFPL",
    "eclipse public license 1.0": "EPL-1.0",
    "eclipse public license 2.0": "EPL-2.0",
    "educational community license 2.0": "ECL-2.0",
    "gnu affero general public license 3.0": "AGPL-3.0-only",
    "gnu general public license 2.0": "GPL-2.0-only",
    "gnu general public license 3.0": "GPL-3.0-only",
    "gnu lesser general public license 2.1": "LGPL-2.1-only",
    "gnu lesser general public license 3.0": "LGPL-3.0-only",
    "gpl": "GPL-2.0-or-later",
    "gplv2": "GPL-2.0-only",
    "gplv3": "GPL-3.0-only",
    "isc license": "ISC",
    "lgpl": "LGPL-2.1-or-later",
    "lgplv3": "LGPL-3.0-only",
    "microsoft public license": "MS-PL",
    "mit license": "MIT",
    "mit no attribution": "MIT-0",
    "mozilla public license 2.0": "MPL-2.0",
    "mulan permissive software license 2": "MulanPSL-2.0",
    "new bsd": "BSD-3-Clause",
    "postgresql license": "PostgreSQL",
    "universal permissive license 1.0": "UPL-1.0",
    "university of illinois/ncsa open source license": "NCSA",
    "vim license": "Vim",
    "zlib license": "Zlib",
}
_COPYLEFT: Final = (
    *("AGPL-3.0", "AGPL-3.0-only", "AGPL-3.0-or-later", "BSD-4-Clause", "CC-BY-SA-4.0"),
    *("EPL-1.0", "EPL-2.0", "GPL-2.0", "GPL-2.0-only", "GPL-2.0-or-later", "GPL-3.0"),
    *("GPL-3.0-only", "GPL-3.0-or-later", "LGPL-2.1", "LGPL-2.1-only", "LGPL-2.1-or-later"),
    *("LGPL-3.0", "LGPL-3.0-only", "LGPL-3.0-or-later", "MPL-2.0"),
)
_NAMES: Final = SPOKEN | {name.lower(): name for name in (*PERMISSIVE, *_COPYLEFT)}


def is_unknown(said: str) -> bool:
    """Whether people say so that they know of no licence."""
    return _plain(said) in UNKNOWN


def identifier(name: str) -> str | None:
    """The SPDX identifier of a name. None if the name is unknown.

    `MIT/Apache-2.0` is Cargo's old way to say that one may choose.
    """
    plain = _plain(name)
    if plain in _NAMES:
        return _NAMES[plain]
    if free := creative_commons(plain):
        return free
    choices = [_NAMES.get(choice.strip()) for choice in plain.split("/")]
    known = [choice for choice in choices if choice]
    return " OR ".join(known) if known and len(known) == len(choices) else None


def _plain(name: str) -> str:
    words = " ".join(re.sub(r"[\"“”,]", "", name.lower()).split()).removeprefix("the ")
    return re.sub(r"\bv(?:ersion )?(?=\d)", "", words.replace("licence", "license"))
