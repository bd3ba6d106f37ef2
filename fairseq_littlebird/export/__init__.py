"""Trained models as files of other libraries: transformers and ONNX."""
