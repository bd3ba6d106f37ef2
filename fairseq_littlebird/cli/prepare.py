"""littlebird-prepare: trains tokenizers, and binarizes texts and questions for fairseq-train."""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Sequence
from pathlib import Path

from fairseq_littlebird.cli.help_formatter import HelpFormatter
from fairseq_littlebird.cli.numbers import positive as _positive
from fairseq_littlebird.cli.prepare_characters import add_characters
from fairseq_littlebird.cli.prepare_chromatin import add_chromatin
from fairseq_littlebird.cli.prepare_classification import add_classification
from fairseq_littlebird.cli.prepare_dna import add_dna
from fairseq_littlebird.cli.prepare_promoter import add_promoter
from fairseq_littlebird.cli.prepare_summarization import add_summarization
from fairseq_littlebird.cli.user_dir import add_user_dir, import_user_dir
from fairseq_littlebird.datasets import AUTO, DATASETS, PLAIN
from fairseq_littlebird.errors import UserError, exit_on_user_error
from fairseq_littlebird.inputs import check_given_once
from fairseq_littlebird.output import whole_file, whole_folder
from fairseq_littlebird.text.dna.nucleotides import ALPHABET
from fairseq_littlebird.text.tokenizers import FILES, dictionary_text, load_tokenizer


@exit_on_user_error
def main(arguments: Sequence[str] | None = None) -> None:
    import_user_dir(arguments)
    options = _parser().parse_args(arguments)
    options.run(options)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="littlebird-prepare", description=__doc__)
    names = ("tokenizer", "text", "characters", "qa", "classification", "summarization", "dna", "promoter", "chromatin")
    commands = parser.add_subparsers(required=True, metavar=f"{{{','.join(names)}}}")
    _add_tokenizer(commands)
    _add_text(commands)
    add_characters(commands)
    _add_qa(commands)
    add_classification(commands)
    add_summarization(commands)
    add_dna(commands)
    add_promoter(commands)
    add_chromatin(commands)
    return parser


def _add_tokenizer(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "tokenizer",
        formatter_class=HelpFormatter,
        help="train a SentencePiece vocabulary, or take an existing one, and write its dict.txt",
        description="Writes the tokenizer's files and dict.txt, whose last line is [QUESTION].",
    )
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--input", nargs="+", metavar="FILE", help="UTF-8 text to train SentencePiece on")
    source.add_argument("--fasta", metavar="FILE", help="DNA to train SentencePiece on, plain or compressed")
    source.add_argument(
        "--from",
        dest="existing",
        metavar="PATH",
        help="existing vocabulary: WordPiece vocab.txt, SentencePiece .model, tokenizer.json, or a folder "
        "with encoder.json and vocab.bpe (a dict.txt in it keeps its order)",
    )
    parser.add_argument("--destdir", required=True, metavar="DIR", help="folder to write")
    parser.add_argument("--vocab-size", type=_positive, default=32000, metavar="N", help="pieces")
    parser.add_argument(
        "--kind", choices=("unigram", "bpe"), help="SentencePiece's model (default: unigram; with --fasta bpe)"
    )
    parser.add_argument(
        "--alphabet",
        choices=(ALPHABET,),
        help="letters of the vocabulary with --fasta, which has no bytes, no <unk> and no space before a text",
    )
    parser.add_argument(
        "--sample-bases",
        type=_positive,
        default=20_000_000,
        metavar="N",
        help="with --fasta, train on so many bases, drawn evenly from all of the file",
    )
    parser.add_argument(
        "--no-byte-fallback",
        dest="byte_fallback",
        action="store_false",
        help="characters outside the vocabulary become <unk>, not bytes",
    )
    parser.add_argument(
        "--character-coverage",
        type=float,
        default=0.9995,
        metavar="SHARE",
        help="fraction of the text's characters that are in the vocabulary",
    )
    parser.add_argument("--overwrite", action="store_true", help="replace what an earlier call wrote")
    parser.set_defaults(run=_tokenizer)


def _tokenizer(options: argparse.Namespace) -> None:
    check_given_once(options.input or ())
    if options.alphabet and not options.fasta:
        raise UserError("--alphabet without --fasta", remedy="give --fasta FILE, or leave out --alphabet")
    note = ""
    with whole_folder(options.destdir, FILES, options.overwrite) as folder:
        dictionary = None
        if options.fasta:
            model = folder / "sentencepiece.model"
            note = _train_on_dna(options, model)
            tokenizer = load_tokenizer(model)
        elif options.input:
            from fairseq_littlebird.text.training import train_sentencepiece

            model = folder / "sentencepiece.model"
            train_sentencepiece(
                options.input,
                options.vocab_size,
                model,
                options.kind or "unigram",
                options.byte_fallback,
                options.character_coverage,
            )
            tokenizer = load_tokenizer(model)
        else:
            tokenizer = load_tokenizer(options.existing)
            for name, file in tokenizer.files.items():
                shutil.copyfile(file, folder / name)
            beside = Path(options.existing) / "dict.txt"
            dictionary = beside if beside.exists() else None
        text = dictionary_text(tokenizer, dictionary)
        (folder / "dict.txt").write_text(text, encoding="utf-8")
    lines = text.count("\n")
    print(f"{options.destdir}: {tokenizer.kind}, {lines:,} symbols in dict.txt, [QUESTION] among them{note}")


def _train_on_dna(options: argparse.Namespace, model: Path) -> str:
    """Trains on a sample of a FASTA file, and returns what to say of it."""
    from fairseq_littlebird.text.dna import vocabulary
    from fairseq_littlebird.text.dna.fasta import FastaReader
    from fairseq_littlebird.text.dna.gaps import SHORTEST_GAP, without_gaps

    reader = FastaReader(options.fasta)
    stretches = vocabulary.sample(without_gaps(reader, SHORTEST_GAP), options.sample_bases)
    if not stretches:
        raise UserError("nothing but N in it", options.fasta, "give DNA that is known")
    vocabulary.train_vocabulary(stretches, options.fasta, options.vocab_size, model, options.kind or "bpe")
    measured = stretches[:: -(-len(stretches) // vocabulary.MEASURED)]
    average = vocabulary.bases_per_token(measured, load_tokenizer(model))
    bases = sum(map(len, stretches))
    return f"; trained on {bases:,} of {reader.bases:,} bases, {average:.2f} base pairs a token"


def _add_text(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "text",
        formatter_class=HelpFormatter,
        help="tokenize text for fairseq-preprocess --only-source --srcdict dict.txt",
        description="One line of space-separated symbols a line of text; blank lines separate the documents.",
    )
    parser.add_argument("--tokenizer", required=True, metavar="PATH", help="tokenizer file or folder")
    parser.add_argument("--input", required=True, nargs="+", metavar="FILE", help="UTF-8 text files")
    parser.add_argument("--output", required=True, metavar="FILE", help="file to write")
    parser.add_argument("--workers", type=_positive, default=1, metavar="N", help="processes")
    parser.add_argument("--overwrite", action="store_true", help="replace the output file")
    parser.set_defaults(run=_text)


def _text(options: argparse.Namespace) -> None:
    from fairseq_littlebird.text.lines import write_symbol_lines

    check_given_once(options.input)
    tokenizer = load_tokenizer(options.tokenizer)
    with whole_file(options.output, options.overwrite) as output:
        count = write_symbol_lines(options.input, tokenizer, output, options.workers)
    print(
        f"{options.output}: {count['documents']:,} documents, {count['lines']:,} lines, "
        f"{count['tokens']:,} tokens, {count['unknown'] / max(1, count['tokens']):.3%} unknown, "
        f"{count['broken']:,} over-long lines broken"
    )


def _add_qa(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    rows = [name for name, spec in DATASETS.items() if spec.parse is DATASETS[PLAIN].parse]
    fixed = [name for name, spec in DATASETS.items() if spec.has_fixed_limit]
    parser = commands.add_parser(
        "qa",
        formatter_class=HelpFormatter,
        help="binarize questions about documents",
        description="Writes the folder that --task question_answering and littlebird-predict read.",
    )
    parser.add_argument(
        "--dataset",
        required=True,
        choices=[AUTO, *sorted(DATASETS)],
        help="the data set, or auto for the one whose format the first file has; "
        f"{' and '.join(rows)} also read rows of questions (JSON, JSON lines, CSV) and exports of Haystack, cdQA, "
        "Label Studio and doccano",
    )
    for split in ("train", "valid", "test"):
        help = f"{split} files, plain or compressed, or - for standard input"
        parser.add_argument(f"--{split}", nargs="+", default=[], metavar="FILE", help=help)
    add_user_dir(parser)
    parser.add_argument("--tokenizer", required=True, metavar="PATH", help="tokenizer file or folder")
    parser.add_argument("--dict", required=True, metavar="FILE", help="dict.txt of the tokenizer")
    parser.add_argument("--destdir", required=True, metavar="DIR", help="folder to write")
    parser.add_argument(
        "--max-tokens",
        type=_positive,
        default=512,
        metavar="N",
        help="the most tokens in a window; only the context is ever cut, and a question must leave an eighth "
        "of them to it",
    )
    parser.add_argument(
        "--stride",
        type=_positive,
        default=256,
        metavar="N",
        help="context tokens from one window's start to the next one's",
    )
    parser.add_argument(
        "--max-answer-length",
        type=_positive,
        metavar="N",
        help="tokens of an answer at most that a model trained on this folder predicts (default: what 99.5%% of the "
        f"training answers have at most, and no less than 30; of {', '.join(fixed)} their own)",
    )
    parser.add_argument(
        "--join-articles",
        action="store_true",
        help="all paragraphs of an article as one document, with a blank line between them",
    )
    parser.add_argument(
        "--skip-bad",
        action="store_true",
        help="leave out records that cannot be read (no context, an evidence file that is missing) and name them in "
        "report.jsonl, instead of ending with an error",
    )
    parser.add_argument(
        "--candidate-markers",
        action="store_true",
        help="WikiHop: [q] question [/q] [ans] candidate [/ans] ..., as for BigBird-ITC, instead of </s> between "
        "candidates; the dictionary must have these four symbols",
    )
    parser.add_argument("--workers", type=_positive, default=1, metavar="N", help="processes")
    parser.add_argument("--overwrite", action="store_true", help="replace what an earlier call wrote")
    parser.set_defaults(run=_qa)


def _qa(options: argparse.Namespace) -> None:
    from fairseq_littlebird.data.preparation import prepare_questions
    from fairseq_littlebird.data.preparation_summary import summary_lines
    from fairseq_littlebird.data.prepared import SPLITS

    summaries = prepare_questions(
        options.dataset,
        {split: getattr(options, split) for split in SPLITS},
        load_tokenizer(options.tokenizer, options.dict),
        options.dict,
        options.destdir,
        max_tokens=options.max_tokens,
        stride=options.stride,
        join_articles=options.join_articles,
        workers=options.workers,
        overwrite=options.overwrite,
        max_answer_length=options.max_answer_length,
        skip_bad=options.skip_bad,
        candidate_markers=options.candidate_markers,
    )
    if options.dataset == AUTO:
        print(f"--dataset auto: {next(iter(summaries.values()))['dataset']}")
    for split, summary in summaries.items():
        print("\n".join(summary_lines(split, summary, trained="train" in summaries)))
    if summaries.get("train", {}).get("answered"):
        limit = summaries["train"]["max_answer_length"]
        print(f"{options.destdir}: a model trained on it gives answers of at most {limit} tokens (--max-answer-length)")
    print(f"{options.destdir}: written; repaired and dropped answers are listed by id in report.jsonl")


if __name__ == "__main__":
    main()
