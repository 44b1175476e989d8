"""Models that score a document, how to train them, and buckets that make scores comparable.

Four kinds share one small interface (`classifiers.scorer.Scorer`): a fastText classifier, a
linear head on a frozen sentence encoder, a small network on static token vectors, and a linear
model over text statistics. Nothing here knows where documents come from.
"""
