"""What long inputs bring to summaries: real papers, and a sentence to quote from anywhere in a document.

    python summaries.py baselines --out DIR --data DATA                  the first 150 words, and an oracle's extract
    python summaries.py run       --out DIR --data DATA --source MODEL   papers: all models, from MODEL and from nothing
    python summaries.py quote     --out DIR                              the sentence that is marked
    python summaries.py report    --out DIR                              both tables, as far as they are

DATA is the folder with scisumm.{train,valid,test}.jsonl.gz, MODEL a Hugging Face folder of BERT. The encoder takes its
layers, and so does the decoder, whose cross-attention alone is new. ``full-512`` and ``full-1024`` read a paper's first
tokens by full attention: they are BigBird with blocks of a quarter of that, and BigBird's attention is full where there
are seven blocks or fewer, which a test compares with full attention. Every model has the same number of updates of the
same number of documents. Every step is a command line, printed before it runs, on one thread and with low priority;
what is there already is not run again, so the same command goes on where it was stopped.
"""

from __future__ import annotations

import argparse
import json
import re
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench import Bench

from fairseq_littlebird.formats.records import open_records
from fairseq_littlebird.formats.sentences import sentence_spans
from fairseq_littlebird.metrics.rouge import tokens_of

LEAD = 150  # words
SUMMARY_TOKENS = 256
KINDS = ("rouge1", "rouge2", "rougeL", "rougeLsum")
# name -> the tokens that it reads (0: all that are prepared), and what of littlebird-warm-start
MODELS = {
    # four blocks, over which BigBird's attention is full
    "full-512": (512, "--to bigbird_roberta --block-size 128"),
    "full-1024": (1024, "--to bigbird_roberta --block-size 256"),
    "led": (0, "--to led --attention-window 256"),
    "bigbird": (0, "--to bigbird_roberta --block-size 64"),
    "littlebird-sinusoidal": (0, "--to littlebird_seq2seq --cross-positions sinusoidal"),
    "littlebird-none": (0, "--to littlebird_seq2seq --cross-positions none"),
}
QUOTERS = {
    "led-512": (512, "--arch led_tiny --attention-window 16"),
    "led": (0, "--arch led_tiny --attention-window 16"),
    "littlebird-sinusoidal": (0, "--arch littlebird_seq2seq_tiny --cross-positions sinusoidal"),
    "littlebird-none": (0, "--arch littlebird_seq2seq_tiny --cross-positions none"),
}
QUOTER = (
    "--encoder-layers 2 --decoder-layers 2 --encoder-embed-dim 64 --encoder-ffn-embed-dim 128 "
    "--encoder-attention-heads 4 --dropout 0 --attention-dropout 0"
)
PACK = "--pack-size 16 --block-size 16"
SHORT, SENTENCE = 64, 6  # tokens of the documents that quoting begins with, and of a sentence with its full stop


class Summaries(Bench):
    """The trainings."""

    def train(self, name: str, data: Path, updates: int, options: str, start: Path | None = None) -> Path:
        """The checkpoint of a training that goes on where it was stopped."""
        folder = self.out / name
        if not (folder / "done").exists():
            begin = "" if start is None else f"--finetune-from-model {start}"
            started = time.monotonic()
            self.run(
                f"fairseq-train {data} --user-dir fairseq_littlebird --task summarization --truncate-source "
                f"--criterion label_smoothed_cross_entropy --label-smoothing 0.1 {options} {begin} --cpu "
                f"--max-update {updates} --clip-norm 1 --num-workers 0 --seed 1 --no-epoch-checkpoints "
                f"--validate-interval 1000000 --save-interval 1000000 --save-interval-updates 50 "
                f"--keep-interval-updates 1 --log-format json --log-interval 10 --save-dir {folder}",
                name.replace("/", "-"),
            )
            self.keep(f"minutes/{name}", round((time.monotonic() - started) / 60, 1))
            (folder / "done").touch()
        return folder / "checkpoint_last.pt"

    def loss(self, name: str) -> float:
        """The negative log-likelihood in bits a token, of the validation at the end of a training."""
        text = (self.out / f"{name.replace('/', '-')}.log").read_text()
        return float(re.findall(r'"valid_nll_loss": "([\d.]+)"', text)[-1])


def records(path: Path) -> list[dict[str, Any]]:
    with open_records(path, "give JSON lines", whole=True) as found:
        return [record for _, record in found]


def baselines(bench: Summaries, data: Path) -> None:
    """What needs no training, on the test papers."""
    test = records(data / "scisumm.test.jsonl.gz")
    for name, extract in (("lead", lead), ("oracle", oracle)):
        path = bench.out / f"{name}.jsonl"
        lines = (json.dumps({"id": r["id"], "summary": extract(r["document"], r["summary"])}) for r in test)
        path.write_text("\n".join(lines) + "\n", "utf-8")
        score(bench, name, data / "scisumm.test.jsonl.gz", path)


def lead(document: str, summary: Sequence[str]) -> list[str]:
    """The first words of a document, sentence by sentence."""
    return sentences(" ".join(document.split()[:LEAD]))


def oracle(document: str, summary: Sequence[str]) -> list[str]:
    """The sentences of a document, of ``LEAD`` words at most, that a greedy search finds for ROUGE-1 + ROUGE-2."""
    text = sentences(" ".join(document.split()))
    grams = [(ngrams(s, 1), ngrams(s, 2)) for s in text]
    gold = ngrams(" ".join(summary), 1), ngrams(" ".join(summary), 2)
    chosen: list[int] = []
    held, best = (Counter[Any](), Counter[Any]()), 0.0
    while True:
        room = LEAD - sum(len(text[n].split()) for n in chosen)
        found = None
        for n in range(len(text)):
            if n not in chosen and len(text[n].split()) <= room:
                value = sum(f1(held[k] + grams[n][k], gold[k]) for k in (0, 1))
                if value > best:
                    best, found = value, n
        if found is None:
            return [text[n] for n in sorted(chosen)]
        chosen.append(found)
        held = held[0] + grams[found][0], held[1] + grams[found][1]


def sentences(text: str) -> list[str]:
    return [text[start:stop] for start, stop in sentence_spans(text)]


def ngrams(text: str, n: int) -> Counter[Any]:
    tokens = tokens_of(text, stemmer=True)
    return Counter(zip(*(tokens[i:] for i in range(n)), strict=False))


def f1(ours: Counter[Any], theirs: Counter[Any]) -> float:
    both = ours.total() + theirs.total()
    return 2 * (ours & theirs).total() / both if both else 0.0


def score(bench: Summaries, name: str, gold: Path, predictions: Path) -> None:
    text = bench.run(
        f"littlebird-evaluate --dataset rouge --gold {gold} --predictions {predictions} --stemmer --split-sentences "
        "--json",
        f"evaluate-{name.replace('/', '-')}",
    )
    scores = json.loads(text[text.index("{") :])
    bench.keep(f"papers/{name}", {kind: [scores[kind], *scores[f"{kind}_interval"]] for kind in KINDS})


def papers(bench: Summaries, data: Path, source: Path, only: Sequence[str], options: argparse.Namespace) -> None:
    """Every model from ``source``, then from nothing."""
    tokenizer = bench.folder("tokenizer", f"littlebird-prepare tokenizer --from {source}/vocab.txt --destdir {{}}")
    splits = " ".join(f"--{split} {data}/scisumm.{split}.jsonl.gz" for split in ("train", "valid", "test"))
    prepared = bench.folder(
        f"papers-{options.tokens}",
        f"littlebird-prepare summarization {splits} --tokenizer {tokenizer} --dict {tokenizer}/dict.txt "
        f"--max-tokens {options.tokens} --max-summary-tokens {SUMMARY_TOKENS} --destdir {{}}",
    )
    for begin in ("warm", "nothing"):
        for model in only or MODELS:
            key = f"{begin}/{model}"
            if f"papers/{key}" not in bench.results():
                paper_model(bench, prepared, source, data, model, begin == "warm", options)


def paper_model(
    bench: Summaries, prepared: Path, source: Path, data: Path, model: str, warm: bool, options: argparse.Namespace
) -> None:
    tokens, own = MODELS[model]
    tokens = tokens or options.tokens
    name = f"{'warm' if warm else 'nothing'}/{model}"
    positions = "" if "littlebird" in own else f"--max-positions {tokens}"
    start = bench.folder(
        f"start-{model}",
        f"littlebird-warm-start --from {source} {own} --layers {options.layers} {positions} --out {{}}",
    )
    checkpoint = bench.train(
        name,
        prepared,
        options.updates,
        f"{(start / 'model.args').read_text().strip()} --max-source-positions {tokens} --batch-size 1 "
        f"--update-freq {options.documents} --adam-betas '(0.9,0.98)' "
        f"--optimizer {'littlebird_adam' if 'littlebird' in own else 'adam'} "
        f"--lr {options.lr} --lr-scheduler polynomial_decay --total-num-update {options.updates} "
        f"--warmup-updates {options.updates // 10} --eval-rouge 0",
        start / "checkpoint.pt" if warm else None,
    )
    predicted = bench.folder(
        f"predicted-{name.replace('/', '-')}",
        f"littlebird-predict {prepared} --path {checkpoint} --device cpu --output {{}} --beam {options.beam} "
        f"--no-repeat-ngram-size 3 --min-length 60 --max-length {options.longest} --truncate "
        f"--max-tokens {8 * tokens}",
    )
    bench.keep(f"loss/{name}", bench.loss(name))
    score(bench, name, data / "scisumm.test.jsonl.gz", predicted / "predictions.jsonl")


def quote(bench: Summaries, only: Sequence[str], options: argparse.Namespace) -> None:
    """Trained on short documents first, then on long ones; exact matches on long ones.

    The short ones have few different words: as in a long one, the word before does not tell which one follows, but how
    far the mark is. The positions of LED are then repeated, as no short document trains those of a long one.
    """
    for model in only or QUOTERS:
        if f"quote/{model}" in bench.results():
            continue
        read, own = QUOTERS[model]
        littlebird = "littlebird" in model
        sizes = f"{own} {QUOTER} " + (PACK if littlebird else f"--max-positions {options.quote_tokens}")
        begun = None
        for tokens, words, count, updates, rate, batch in (
            (SHORT, 10, 24000, options.short_updates, 3e-3, 64),
            (256, 20, 2000, options.short_updates // 4, 2e-3, 16),
            (options.quote_tokens, 64, 1000, options.long_updates, 1e-3, 4),
        ):
            if tokens == 256 and not littlebird:
                begun = repeated_positions(begun, bench.out / f"quote-{model}.pt")
            data = quote_data(bench, tokens, words, count)
            begun = bench.train(
                f"quote-{tokens}/{model}",
                data,
                updates,
                f"{sizes} --optimizer {'littlebird_adam' if littlebird else 'adam'} --eval-rouge 0 --lr {rate} "
                f"--batch-size {batch} --lr-scheduler polynomial_decay --total-num-update {updates} "
                f"--warmup-updates {updates // 10} --max-source-positions {read or options.quote_tokens}",
                begun,
            )
        checkpoint, long = begun, data
        predicted = bench.folder(
            f"predicted-quote-{model}",
            f"littlebird-predict {long} --path {checkpoint} --device cpu --output {{}} --beam 1 --max-length 12 "
            "--truncate",
        )
        gold = {r["id"]: r["summary"] for r in records(bench.out / f"quote-text-{options.quote_tokens}/test.jsonl")}
        found = {r["id"]: r["summary"] for r in records(predicted / "predictions.jsonl")}
        right = {name: gold[name] == found[name] for name in gold}
        quarters = [[right[name] for name in gold if quarter(name, options.quote_tokens) == q] for q in range(4)]
        figures = [100 * sum(values) / max(1, len(values)) for values in (list(right.values()), *quarters)]
        bench.keep(f"quote/{model}", [round(figure, 1) for figure in figures])


def repeated_positions(checkpoint: Path, path: Path) -> Path:
    """The checkpoint with the positions of the short documents repeated over the whole table, as LED's are made of
    BART's; the first is that of the global <s>, which comes once."""
    import torch

    if not path.exists():
        content = torch.load(checkpoint, map_location="cpu", weights_only=True)
        table = content["model"]["encoder.embeddings.positions.weight"]
        trained = table[1 : 1 + (SHORT - 3) // SENTENCE * SENTENCE]
        table[1:] = trained.repeat(-(-len(table) // len(trained)), 1)[: len(table) - 1]
        torch.save(content, path)
    return path


def quarter(name: str, tokens: int) -> int:
    """In which quarter of its document the marked sentence is."""
    return min(3, 4 * int(name.rsplit("-", 1)[1]) // tokens)


def quote_data(bench: Summaries, tokens: int, words: int, count: int) -> Path:
    text = bench.folder(
        f"quote-text-{tokens}",
        f"scripts/experiments/quoting.py --out {{}} --tokens {tokens} --words {words} --train {count} "
        "--valid 20 --test 200",
    )
    tokenizer = bench.folder("quote-tokenizer", f"littlebird-prepare tokenizer --from {text}/vocab.txt --destdir {{}}")
    splits = " ".join(f"--{split} {text}/{split}.jsonl" for split in ("train", "valid", "test"))
    return bench.folder(
        f"quote-{tokens}",
        f"littlebird-prepare summarization {splits} --tokenizer {tokenizer} --dict {tokenizer}/dict.txt --destdir {{}}",
    )


def report(bench: Summaries) -> None:
    """The tables of docs/results.md."""
    found = bench.results()
    print(
        "| | ROUGE-1 | ROUGE-2 | ROUGE-L | ROUGE-Lsum | loss, bits | minutes |\n"
        "| --- | --- | --- | --- | --- | --- | --- |"
    )
    for name in ("lead", "oracle", *(f"{begin}/{model}" for begin in ("warm", "nothing") for model in MODELS)):
        if scores := found.get(f"papers/{name}"):
            cells = " | ".join(f"{value:.2f} [{low:.2f}, {high:.2f}]" for value, low, high in scores.values())
            print(f"| {name} | {cells} | {found.get(f'loss/{name}', '')} | {found.get(f'minutes/{name}', '')} |")
    print("\n| exact quotes, % | all | first quarter | second | third | last |\n| --- | --- | --- | --- | --- | --- |")
    for model in QUOTERS:
        if figures := found.get(f"quote/{model}"):
            print(f"| {model} | {' | '.join(map(str, figures))} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("baselines", "run", "quote", "report"))
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--data", type=Path, help="folder with the papers")
    parser.add_argument("--source", type=Path, help="BERT in a Hugging Face folder")
    parser.add_argument("--models", nargs="+", default=[], help="of these alone (all)")
    parser.add_argument("--tokens", type=int, default=2048, help="of a paper (%(default)s)")
    parser.add_argument("--layers", type=int, default=3, help="of the encoder and of the decoder (%(default)s)")
    parser.add_argument("--updates", type=int, default=60, help="(%(default)s)")
    parser.add_argument("--documents", type=int, default=2, help="an update (%(default)s)")
    parser.add_argument("--lr", type=float, default=5e-4, help="(%(default)s)")
    parser.add_argument("--beam", type=int, default=2, help="(%(default)s)")
    parser.add_argument("--longest", type=int, default=180, help="tokens of a summary (%(default)s)")
    parser.add_argument("--quote-tokens", type=int, default=4096, help="of a document (%(default)s)")
    parser.add_argument(
        "--short-updates",
        type=int,
        default=400,
        help=f"of documents of {SHORT} tokens; a quarter of that of 256 (%(default)s)",
    )
    parser.add_argument("--long-updates", type=int, default=100, help="of --quote-tokens (%(default)s)")
    options = parser.parse_args()
    bench = Summaries(options.out)
    if options.what in ("baselines", "run") and not options.data:
        parser.error("--data is missing")
    if options.what == "baselines":
        baselines(bench, options.data)
    elif options.what == "run":
        if not options.source:
            parser.error("--source is missing")
        papers(bench, options.data, options.source, options.models, options)
    elif options.what == "quote":
        quote(bench, options.models, options)
    else:
        report(bench)


if __name__ == "__main__":
    main()
