"""The report on a data set: what is in it, what is wrong with it, and which images that is."""
