"""The reader in a real pipeline of Haystack."""

from __future__ import annotations

import shutil

import pytest

haystack = pytest.importorskip("haystack", reason="haystack-ai is not installed")

from haystack import Document, Pipeline  # noqa: E402
from haystack.components.retrievers.in_memory import InMemoryBM25Retriever  # noqa: E402
from haystack.document_stores.in_memory import InMemoryDocumentStore  # noqa: E402

from fairseq_littlebird import LittleBird  # noqa: E402
from fairseq_littlebird.data.prepared import PreparedQuestions  # noqa: E402
from fairseq_littlebird.errors import UserError  # noqa: E402
from fairseq_littlebird.integrations.haystack import LittleBirdReader  # noqa: E402


@pytest.fixture(scope="module")
def folder(qa_model, tmp_path_factory):
    folder = tmp_path_factory.mktemp("model")
    shutil.copyfile(qa_model, folder / "checkpoint_last.pt")
    return folder


@pytest.fixture(scope="module")
def documents(tiny):
    prepared = PreparedQuestions(tiny / "questions", "train")
    texts = dict.fromkeys(prepared.example(n)[0].document for n in range(24))
    return [Document(content=text, meta={"number": n}) for n, text in enumerate(texts)]


@pytest.fixture(scope="module")
def reader(folder):
    return LittleBirdReader(folder, device="cpu", top_k=4)


def test_a_pipeline_with_bm25(reader, documents):
    store = InMemoryDocumentStore()
    store.write_documents(documents)
    pipeline = Pipeline()
    pipeline.add_component("retriever", InMemoryBM25Retriever(store, top_k=2))
    pipeline.add_component("reader", reader)
    pipeline.connect("retriever.documents", "reader.documents")
    allow = getattr(haystack.core.serialization, "allow_deserialization_module", print)  # of Haystack 3
    allow("fairseq_littlebird.integrations.haystack")
    again = Pipeline.loads(pipeline.dumps())  # as YAML; documents in memory are not part of it
    again.get_component("retriever").document_store = store
    query = "Who founded the school of Oslo?"
    answers = again.run({"retriever": {"query": query}, "reader": {"query": query}})["reader"]["answers"]
    assert len(answers) == 5 and [a.data for a in answers].count(None) == 1
    assert [a.score for a in answers] == sorted((a.score for a in answers), reverse=True)
    for answer in answers:
        assert answer.query == query
        if answer.data is None:
            continue
        offset, inner = answer.document_offset, answer.context_offset
        assert answer.document.content[offset.start : offset.end] == answer.data
        assert answer.context[inner.start : inner.end] == answer.data
        assert answer.document.meta["number"] in range(len(documents))


def test_scores_are_probabilities_of_the_model(reader, folder, documents):
    found = reader.run("Who?", documents[:1], top_k=3, no_answer=False)["answers"]
    expected = LittleBird.from_pretrained(folder, device="cpu").answer("Who?", documents[0].content, top_k=3)
    assert [(a.data, a.document_offset.start) for a in found] == [(e.text, e.start) for e in expected]
    assert [a.score for a in found] == pytest.approx([e.probability for e in expected], rel=1e-4)
    every = reader.run("Who?", documents[:3], top_k=40)["answers"]
    assert 0 < sum(a.score for a in every) <= 1.0001
    least = found[1].score
    assert [a.score >= least for a in reader.run("Who?", documents[:1], score_threshold=least)["answers"]]


def test_what_cannot_be_read(reader, span_model, tiny):
    assert reader.run("Who?", [])["answers"] == reader.run("Who?", [Document(content=None)])["answers"] == []
    with pytest.raises(UserError, match="this model answers no questions"):
        LittleBirdReader(span_model, tokenizer=tiny / "tokenizer", device="cpu").warm_up()
    with pytest.raises(UserError, match="top_k"):
        reader.run("Who?", [Document(content="A.")], top_k=0)


def test_it_is_written_and_read(reader):
    written = reader.to_dict()
    again = LittleBirdReader.from_dict(written)
    assert again.to_dict() == written and again.top_k == 4
