"""The options that name checkpoints, the same for every program."""
from . import edgezsad, lizad, visualad
from .files import read_checkpoint


def add_systems(parser):
    """Adds a subcommand a system, with its checkpoints; returns system -> its parser."""
    commands = parser.add_subparsers(dest="system", required=True, metavar="SYSTEM")
    systems = {name: commands.add_parser(name, help=f"{title}'s checkpoints", description=f"{title} of its authors' checkpoints")
               for name, title in (("lizad", "LiZAD"), ("edgezsad", "EdgeZSAD"), ("visualad", "VisualAD"))}

    def file(system, option, what, **more):
        systems[system].add_argument(option, metavar="FILE", help=what, **more)
    file("lizad", "--dinov3", "DINOv3 ViT-S/16, under Hugging Face's names or Meta's", required=True)
    file("lizad", "--mobileclip", "MobileCLIP2-S0, under open_clip's names", required=True)
    file("lizad", "--head", "LiZAD's own checkpoint", required=True)
    file("edgezsad", "--tinyvit", "TinyViT, under timm's names or Microsoft's; needed unless --head holds its backbone")
    file("edgezsad", "--head", "the trained readout: checkpoint.pt of train_edgezsad.py, or its tensors alone", required=True)
    systems["edgezsad"].add_argument("--image-size", metavar="N", type=int, help="pixels each way, where the files do not say")
    systems["edgezsad"].add_argument("--topk", metavar="N", type=int,
                                     help="tokens that the score is read from (default: one in 64)")
    backbone = systems["visualad"].add_mutually_exclusive_group(required=True)
    backbone.add_argument("--clip", metavar="FILE", help="CLIP ViT-B or L as OpenAI publishes it")
    backbone.add_argument("--dinov2", metavar="FILE", help="DINOv2 ViT-S, B or L, under Meta's names or Hugging Face's")
    file("visualad", "--head", "VisualAD's own checkpoint", required=True)
    systems["visualad"].add_argument("--ln-post", choices=("backbone", "checkpoint"), default="backbone",
                                     help="which final norm to take (default: %(default)s, as the published results do)")
    return systems


def read(options):
    """Reads the checkpoints that the options name: role -> Checkpoint, None for one that is not given."""
    roles = {"lizad": ("dinov3", "mobileclip", "head"), "edgezsad": ("tinyvit", "head"), "visualad": ("clip", "dinov2", "head")}
    paths = {role: getattr(options, role) for role in roles[options.system]}
    return {role: path and read_checkpoint(path) for role, path in paths.items()}


def convert(options, found):
    """(name -> tensor, metadata): what the model file would hold, before it is rounded."""
    if options.system == "lizad":
        return lizad.convert(found["dinov3"], found["mobileclip"], found["head"])
    if options.system == "edgezsad":
        return edgezsad.convert(found["tinyvit"], found["head"], options.image_size, options.topk)
    return visualad.convert(found["clip"] or found["dinov2"], found["clip"] is None, found["head"],
                            options.ln_post == "checkpoint")
