"""Detectors in ONNX files of any family, run by ONNX Runtime alone.

`recognition` says which layout a network's outputs have, `layouts` reads boxes from them, `pictures` prepares what goes
in, `description` is what a user may say in a file beside the network, and `detector` runs the whole.
"""
