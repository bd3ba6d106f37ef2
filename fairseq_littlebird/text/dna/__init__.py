"""DNA as text: files of sequences and regions, the letters of nucleotides, and documents cut from chromosomes."""
