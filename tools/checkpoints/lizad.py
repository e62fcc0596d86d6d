"""LiZAD's three checkpoints to the names of `lizad.safetensors` (tests/reference/lizad/SPEC.md, section 5)."""
from edgezsad.errors import UserError
from .state import find, not_found, require

LAYERS = (3, 5, 7, 11)
CLIP_BLOCK = ("ln_1.weight", "ln_1.bias", "attn.in_proj_weight", "attn.in_proj_bias", "attn.out_proj.weight",
              "attn.out_proj.bias",
              "ln_2.weight", "ln_2.bias", "mlp.c_fc.weight", "mlp.c_fc.bias", "mlp.c_proj.weight", "mlp.c_proj.bias")
HUGGING_FACE_BLOCK = ("norm1.weight", "norm1.bias", "attention.q_proj.weight", "attention.q_proj.bias", "attention.k_proj.weight",
                      "attention.v_proj.weight", "attention.v_proj.bias", "attention.o_proj.weight", "attention.o_proj.bias",
                      "layer_scale1.lambda1", "norm2.weight", "norm2.bias", "mlp.up_proj.weight", "mlp.up_proj.bias",
                      "mlp.down_proj.weight", "mlp.down_proj.bias", "layer_scale2.lambda1")
META_BLOCK = {"norm1.weight": "norm1.weight", "norm1.bias": "norm1.bias", "attn.proj.weight": "attention.o_proj.weight",
              "attn.proj.bias": "attention.o_proj.bias", "ls1.gamma": "layer_scale1.lambda1", "norm2.weight": "norm2.weight",
              "norm2.bias": "norm2.bias", "mlp.fc1.weight": "mlp.up_proj.weight", "mlp.fc1.bias": "mlp.up_proj.bias",
              "mlp.fc2.weight": "mlp.down_proj.weight", "mlp.fc2.bias": "mlp.down_proj.bias", "ls2.gamma": "layer_scale2.lambda1"}


def convert(dinov3, mobileclip, head):
    """(name -> tensor, metadata) of three checkpoints."""
    tensors, (width, patch) = vision(dinov3)
    tensors.update(text(mobileclip))
    tensors.update(adapters(head))
    text_width = tensors["text.token_embedding.weight"].shape[1]
    return tensors, {
        "format": "tinyzsad", "format_version": "1", "model": "lizad", "image_size": "518", "patch_size": str(patch),
        "vision_layers": ",".join(map(str, LAYERS)), "vision_heads": str(max(1, width // 64)), "vision_ln_eps": "1e-5",
        "rope_theta": "100", "text_heads": str(max(1, text_width // 64)), "text_context": "77", "text_causal": "false",
        "text_ln_eps": "1e-5", "leaky_slope": "0.01", "logit_scale": "100", "mean": "0.485,0.456,0.406",
        "std": "0.229,0.224,0.225",
        "vision_source": dinov3.source(), "text_source": mobileclip.source(), "head_source": head.source()}


def deeper(name, blocks):
    index = name[len(blocks):].split(".")[0]
    return name.startswith(blocks) and index.isdigit() and int(index) >= max(LAYERS)


def vision(checkpoint):
    """DINOv3 under either of its names, as far as its eleventh block, and its width and patch."""
    out = {}
    state = find(checkpoint, "embeddings.register_tokens")
    if state is not None:
        for name in ("cls_token", "register_tokens", "patch_embeddings.weight", "patch_embeddings.bias"):
            out[f"vision.embeddings.{name}"] = state.take(f"embeddings.{name}")
        for i in range(max(LAYERS)):
            for leaf in HUGGING_FACE_BLOCK:
                out[f"vision.layer.{i}.{leaf}"] = state.take(f"layer.{i}.{leaf}")
        spare = ("embeddings.mask_token", "norm.weight", "norm.bias", "rope_embeddings.inv_freq")
        state.refuse_others("DINOv3 ViT-S/16", superfluous=lambda name: name in spare or deeper(name, "layer."))
    else:
        state = find(checkpoint, "storage_tokens")
        if state is None:
            raise not_found(checkpoint, "DINOv3", "embeddings.register_tokens' (Hugging Face's name) or 'storage_tokens")
        for ours, theirs in (("cls_token", "cls_token"), ("register_tokens", "storage_tokens"),
                             ("patch_embeddings.weight", "patch_embed.proj.weight"), ("patch_embeddings.bias",
                                                                                      "patch_embed.proj.bias")):
            out[f"vision.embeddings.{ours}"] = state.take(theirs)
        for i in range(max(LAYERS)):
            weight, bias = (state.take(f"blocks.{i}.attn.qkv.{leaf}") for leaf in ("weight", "bias"))
            unused = bias.chunk(3)[1]
            if f"blocks.{i}.attn.qkv.bias_mask" in state:                     # k has no bias: masked, or zero
                q, unused, v = state.take(f"blocks.{i}.attn.qkv.bias_mask").chunk(3)
                if (q != 1).any() or (v != 1).any():
                    raise UserError(f"{checkpoint.path}: 'blocks.{i}.attn.qkv.bias_mask' masks biases of q or v")
            if (unused != 0).any():
                raise UserError(f"{checkpoint.path}: 'blocks.{i}.attn.qkv.bias' gives k a bias that is not masked")
            for name, w, b in zip("qkv", weight.chunk(3), bias.chunk(3)):
                out[f"vision.layer.{i}.attention.{name}_proj.weight"] = w
                if name != "k":
                    out[f"vision.layer.{i}.attention.{name}_proj.bias"] = b
            for theirs, ours in META_BLOCK.items():
                out[f"vision.layer.{i}.{ours}"] = state.take(f"blocks.{i}.{theirs}")
        spare = ("mask_token", "norm.weight", "norm.bias", "rope_embed.periods")
        state.refuse_others("DINOv3 ViT-S/16", superfluous=lambda name: name in spare or deeper(name, "blocks."))
    kernel = out["vision.embeddings.patch_embeddings.weight"]
    return out, (kernel.shape[0], kernel.shape[2])


def text(checkpoint):
    """MobileCLIP2-S0's text tower, whose names are open_clip's."""
    state = require(checkpoint, "MobileCLIP2 under open_clip's names", "text.token_embedding.weight")
    names = ["text.token_embedding.weight", "text.positional_embedding"]
    names += [f"text.transformer.resblocks.{i}.{leaf}" for i in range(max(1, state.count("text.transformer.resblocks")))
              for leaf in CLIP_BLOCK]
    names += ["text.ln_final.weight", "text.ln_final.bias", "text.text_projection"]
    out = {name: state.take(name) for name in names}
    state.refuse_others("MobileCLIP2-S0's text tower", "text.")
    return out


def adapters(checkpoint):
    """LiZAD's own part."""
    state = require(checkpoint, "LiZAD's head", "positive_text_adapter.adapter.0.weight")
    modules = ("positive_text_adapter", "negative_text_adapter", "patch_adapter", "cls_adapter")
    names = [*modules[:2], *(f"{module}.{i}" for module in modules[2:] for i in range(len(LAYERS)))]
    out = {f"head.{name}.adapter.0.{leaf}": state.take(f"{name}.adapter.0.{leaf}") for name in names
           for leaf in ("weight", "bias")}
    for module in modules:
        state.refuse_others("LiZAD's head of four layers", f"{module}.")
    return out
