"""The Triton kernels of USWAttn: scores, bias, softmax and dropout stay on the chip, forward and backward.

Every query sees the same F far keys, [packed; block 0], and then those of blocks 1, 2, … beside its own:

    s = q kᵀ / √d - bias,   bias = (β if r > 0 else -γ) · r + c,   r = w · p_query - p

A key's terms (w, p, c) make one formula for all kinds of keys: (1, its position, 0) for tokens, (0, 0, (β + γ) / 2 · b)
for packed keys, (0, 0, α) for token 0, and c = -MASKED for what nobody may see. The query of token 0 alone pays
otherwise: α for every other token.

The forward kernel takes M queries a program and streams N keys at a time, its softmax online. The backward pass has
one kernel for queries, which also sums what the slopes' gradients need, and two for keys: far ones sum over a chunk
of queries, the others over the queries of three blocks. No program adds to what another one wrote, so gradients are
deterministic. Scores, biases and log-sums are of base 2. Rows of padded queries are 0.

Legend: B batch, L tokens, S pack size, H heads, D head width, b block size, F = S + min(b, L) far keys; Z tiles of
queries. A slot numbers the keys of a query: 0 … S-1 packed, S … S+L-1 tokens.
Tensors: q, k, v as strided [B, H, L, D], far keys [B, H, F, D], results and their gradients [B, L, H, D] in memory,
slopes <float>[3, H], positions <float32 or wider>[B or 1, L] with padding NOWHERE, extent <int32>[B, 2] (the first
unpadded token, and one past the last), seed <int64>[1].
"""
