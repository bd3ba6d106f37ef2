"""fairseq datasets: binarized text and prepared questions to batches."""
