"""Models that give a document a score, the training of such models, and the buckets that make scores comparable.

Three kinds behind one small interface (`classifiers.scorer.Scorer`): a fastText classifier, a linear head on a frozen sentence
encoder, and a linear model over cheap text statistics. Nothing here knows where documents come from.
"""
