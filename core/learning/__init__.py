"""Learning: fine-tune, evaluate and explain classifiers: arrays and values in and out."""
