"""The Longformer model: what is global in which task, its options, sizes and named architectures."""

from argparse import Namespace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
import yaml
from fairseq.data import Dictionary
from fairseq.models import ARCH_CONFIG_REGISTRY, ARCH_MODEL_REGISTRY

from fairseq_littlebird.errors import UserError
from fairseq_littlebird.models import LongformerModel, LongformerModelConfig

WORDS = 20
CONFIGS = Path(__file__).parents[2] / "configs" / "model"


def model(**options):
    torch.manual_seed(0)
    words = Dictionary()
    for n in range(WORDS - 4):
        words.add_symbol(f"w{n}")
    sizes = {"encoder_layers": 2, "encoder_embed_dim": 12, "encoder_ffn_embed_dim": 20, "encoder_attention_heads": 3}
    cfg = sizes | {"max_positions": 64, "attention_window": "4"} | options
    return LongformerModel.build_model(cfg, SimpleNamespace(source_dictionary=words)).eval()


def global_positions(longformer, tokens, **arguments):
    """The positions of each row's global tokens as the encoder's layers see them, None where it is told of none."""
    contexts = []
    longformer.encoder.layers[0].register_forward_hook(lambda _, inputs, __: contexts.append(inputs[1]))
    longformer(tokens, **arguments)
    (context,) = contexts
    mask = context.global_tokens
    return None if mask is None else [row.nonzero().flatten().tolist() for row in mask]


TOKENS = torch.randint(4, WORDS, (2, 11), generator=torch.Generator().manual_seed(0))


def test_no_token_is_global_in_masked_language_modelling():
    assert global_positions(model(), TOKENS, masked_tokens=TOKENS > 9) is None
    assert global_positions(model(), TOKENS, features_only=True) is None


def test_the_question_is_global_in_question_answering():
    """Without the </s> that ends it, as in the released question-answering models."""
    qa_model = model()
    qa_model.register_span_head("independent")
    annotations = {"questions": torch.tensor([[1], [1]]), "starts": torch.tensor([[7], [0]])}
    found = global_positions(qa_model, TOKENS, **annotations, context_starts=torch.tensor([5, 3]))
    assert found == [[0, 1, 2, 3], [0, 1]]


def test_tokens_that_a_data_set_names_are_global_beside_the_question():
    qa_model = model(structured_input=True)
    qa_model.register_span_head("independent")
    annotations = {"questions": torch.tensor([[1], [1]]), "starts": torch.tensor([[7], [0]])}
    more = torch.zeros(2, 11, dtype=torch.bool)
    more[0, [3, 6, 9]] = True
    annotations |= {"context_starts": torch.tensor([5, 3]), "global_tokens": more}
    assert global_positions(qa_model, TOKENS, **annotations) == [[0, 1, 2, 3, 6, 9], [0, 1]]


def test_tokens_that_the_caller_names_are_global_without_a_task():
    """Of hidden states alone: no task says which others are."""
    more = torch.zeros(2, 11, dtype=torch.bool)
    more[0, [0, 5]] = more[1, 3] = True
    assert global_positions(model(), TOKENS, features_only=True, global_tokens=more) == [[0, 5], [3]]


def test_question_tokens_are_global_in_recurring_span_selection():
    """0 says that a row has fewer questions; token 0 is not one of them."""
    qa_model = model()
    qa_model.register_span_head("qass")
    questions = torch.tensor([[2, 7, 9], [4, 0, 0]])
    assert global_positions(qa_model, TOKENS, questions=questions) == [[2, 7, 9], [4]]
    assert global_positions(qa_model, TOKENS, questions=questions * 0) == [[], []]


def test_token_0_is_global_in_classification():
    classifier = model()
    classifier.register_classification_head("sentence", 3)
    found = global_positions(classifier, TOKENS, features_only=True, classification_head_name="sentence")
    assert found == [[0], [0]]


def test_options_of_layers_and_heads():
    config = model(attention_window="4,10", attention_dilation="1, 2,3").encoder.config
    assert config.attention_window == (4, 10) and config.dilations == ((1, 2, 3),) * 2
    config = model().encoder.config
    assert config.attention_window == (4, 4) and config.dilations == ((1, 1, 1),) * 2
    config = model(attention_window="4-8", attention_dilation="1/1,2,3").encoder.config
    assert config.attention_window == (4, 8) and config.dilations == ((1, 1, 1), (1, 2, 3))


@pytest.mark.parametrize(
    "options, message",
    [
        ({"attention_window": "wide"}, "attention window 'wide' is neither a whole number nor a comma list of them"),
        ({"attention_window": "4,4,4"}, "3 attention windows do not fit 2 layers"),
        ({"attention_window": "7"}, "attention window 7 is not an even number"),
        ({"attention_dilation": "1,"}, "attention dilation '1,' is neither"),
        ({"attention_dilation": "1,2"}, "2 attention dilations do not fit 3 heads"),
        ({"attention_dilation": "1/1/1"}, "attention dilations of 3 layers do not fit 2 layers"),
    ],
)
def test_options_that_do_not_fit_are_one_line(options, message):
    with pytest.raises(UserError, match=message):
        model(**options)


def test_positions_of_padding_insertion_are_refused():
    with pytest.raises(UserError, match="leave out --padding-insertion"):
        model()(TOKENS, positions=torch.arange(0, 22, 2).expand(2, -1))


@pytest.mark.parametrize("name", ["longformer_tiny", "longformer_base", "longformer_large"])
def test_sizes_equal_the_architectures(name):
    """Named architectures do not work in Hydra, so the sizes stand in both places."""
    assert ARCH_MODEL_REGISTRY[name] is LongformerModel
    sizes = yaml.safe_load((CONFIGS / f"{name}.yaml").read_text())
    assert sizes.pop("_name") == "longformer"
    args = Namespace()
    ARCH_CONFIG_REGISTRY[name](args)
    architecture = vars(LongformerModelConfig(**vars(args)))
    assert {key: architecture[key] for key in sizes} == sizes
    assert {key for key, value in vars(args).items() if value is not None} <= sizes.keys()


def test_base_size_has_the_parameters_of_the_released_one():
    with torch.device("meta"):
        base = LongformerModel.build_encoder(LongformerModelConfig(), 50_265, 1)
    assert sum(p.numel() for p in base.layers.parameters()) == 106_315_776
    # with two more rows of positions and one of token types
    assert sum(p.numel() for p in base.parameters()) + 3 * 768 == 148_068_864
