"""From texts to signatures that find near duplicates: compiled kernels.

1. `words` cuts a text into words (`stages.columns.word_rule`, `normalization`, `signs`) and hashes
   them. In the same pass it hashes the whole text, for exact duplicates. `shingles` hashes every n
   words in a row, and sorts the hashes into a set (`sorting`).
2. `minhash` makes a signature of each set, and a key of each band of the signature. Documents that
   share a key may be near duplicates.
3. `shingles.jaccard` compares two sets. `sketches` compares a set with the smallest hashes of a
   document of an earlier run.
"""
