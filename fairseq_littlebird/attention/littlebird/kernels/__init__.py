"""The Triton kernels of USWAttn: scores, bias, softmax and dropout stay on the chip, forward and backward.

Every query sees the packed keys, those of block 0, and those of blocks 1, 2, … beside its own:

    s = q kᵀ / √d - c - bias,   bias = (β if r > 0 else -γ) · r,   r = p_query - p

where a packed key costs c = (β + γ) / 2 · b and has no bias, and a token nothing unless nobody may see it, c = -MASKED.
Between token 0 and any other token the bias is α. Which side a key is on is known but for a query's own block: keys of
a kind have a loop of their own, so that no loop asks for each score what its kind answers.

The forward kernel takes M queries a program and streams N keys at a time, its softmax online. The backward pass has
one kernel for queries, which also sums the slopes' gradients, and one for keys: packed ones and those of block 0 sum
over a chunk of queries, the others over the queries of three blocks; :mod:`fused_backward` has one kernel for both. No
program adds to what another one wrote, so gradients are deterministic. Scores, biases and log-sums are of base 2. Rows
of padded queries are 0, and what stands in padded rows is never read: NaN would go through a probability of 0.

Legend: B batch, L tokens, S pack size, H heads, D head width, b block size; Z tiles of queries. A slot numbers the keys
of a query: 0 … S-1 packed, S … S+L-1 tokens.
Tensors: q, k, v as strided [B, H, L, D] and packed keys [B, H, S, D], strides in units of UNIT numbers; results and
their gradients [B, L, H, D] in memory; slopes <float>[3, H]; places and extent as :func:`places.places` makes them;
words <int64>[B, H, L], of which each query draws its dropout.
"""
