"""How the page walk's functions are compiled: without reference counts.

They call each other several times for every tag and hand on a tuple of some twenty arrays. numba would count references to each of them
at every call, atomically, which takes two thirds of the time; none of these functions makes or keeps an array, so there is nothing to
count. (`_nrt` is the option that numba's own array functions use for this.)
"""

from corpusmill.stages.columns.compiled import njit

compiled = njit(_nrt=False)
inlined = njit(_nrt=False, inline="always")
