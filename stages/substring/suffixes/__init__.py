"""From texts to the passages that are cut: compiled kernels.

1. `repeats` sorts all suffixes of the texts, which lie one after the other in memory. It gives each
   window of `length` bytes that occurs more than once a number, its class.
2. `cuts` reads the documents in order. It cuts the bytes in windows that were read before, finds
   where each cut stands first, and takes the cuts out of the text.
3. `boundaries` trims a cut to whole lines, words or characters.
"""
