"""MobileCLIP2-S0's text tower as open_clip runs it, and what LiZAD asks it: means over prompts of a class."""
import torch
import torch.nn.functional as F

from .layers import clip_block, norm, unit
from .tokenizer import Tokenizer

CONTEXT, HEAD_WIDTH, BATCH = 77, 64, 35
NORMAL = ("{}", "flawless {}", "perfect {}", "unblemished {}", "{} without flaw", "{} without defect", "{} without damage")
ABNORMAL = ("damaged {}", "broken {}", "{} with flaw", "{} with defect", "{} with damage")
TEMPLATES = (
    "a bad photo of a {}.", "a low resolution photo of the {}.", "a bad photo of the {}.", "a cropped photo of the {}.",
    "a bright photo of a {}.", "a dark photo of the {}.", "a photo of my {}.", "a photo of the cool {}.",
    "a close-up photo of a {}.", "a black and white photo of the {}.", "a bright photo of the {}.", "a cropped photo of a {}.",
    "a jpeg corrupted photo of a {}.", "a blurry photo of the {}.", "a photo of the {}.", "a good photo of the {}.",
    "a photo of one {}.", "a close-up photo of the {}.", "a photo of a {}.", "a low resolution photo of a {}.",
    "a photo of a large {}.", "a blurry photo of a {}.", "a jpeg corrupted photo of the {}.", "a good photo of a {}.",
    "a photo of the small {}.", "a photo of the large {}.", "a black and white photo of a {}.", "a dark photo of a {}.",
    "a photo of a cool {}.", "a photo of a small {}.", "there is a {} in the scene.", "there is the {} in the scene.",
    "this is a {} in the scene.", "this is the {} in the scene.", "this is one {} in the scene.")


def encode(w, tokens):
    """Token ids [n, 77] to unit embeddings. No mask: padding attends and is attended to. Read at the end token, the largest."""
    table = w["text.token_embedding.weight"]
    x = F.embedding(tokens, table) + w["text.positional_embedding"]
    for i in range(w.count("text.transformer.resblocks")):
        x = clip_block(w, f"text.transformer.resblocks.{i}", x, max(1, table.shape[1] // HEAD_WIDTH), F.gelu)
    x = norm(w, "text.ln_final", x, 1e-5)
    return unit(x[torch.arange(len(x)), tokens.argmax(-1)] @ w["text.text_projection"])


def embed_class(w, word):
    """The mean embeddings of a class's normal and abnormal prompts, not normalised again."""
    tokenizer = Tokenizer()

    def mean(states):
        prompts = [template.replace("{}", state.replace("{}", word)) for template in TEMPLATES for state in states]
        tokens = torch.tensor([tokenizer(prompt, CONTEXT) for prompt in prompts])
        return torch.cat([encode(w, some) for some in tokens.split(BATCH)]).mean(0)
    return mean(NORMAL), mean(ABNORMAL)
