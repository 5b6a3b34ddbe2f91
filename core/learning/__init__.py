"""Learning: fine-tuning, evaluation and explanation of classifiers: arrays and values in and out."""
