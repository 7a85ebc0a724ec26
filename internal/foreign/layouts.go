package foreign

import (
	"slices"
	"strings"
)

// layout is how a project names the arrays of its checkpoints. A new project is one more
// row in layouts; a new way to name the arrays of a network itself is one more in
// namings.
type layout struct {
	name string

	// at is where the encoder is: what stands before its arrays' names, without the
	// wrappers. The first of these that the file has is taken.
	at []string

	// signs are beginnings of names, without the wrappers; the file must have one of them.
	// None: any file will do.
	signs []string

	without []string // beginnings of names that the file must not have
	naming  string   // of the encoder's arrays; empty: any

	method   string // that trained it, as vicreg names it, or ""
	expander string // where one is that vicreg's own may be like; empty: nowhere
	heads    int    // of its vision transformers; 0: one for each 64 channels
	cifar    string // the stem of its residual networks that begin with 3×3; empty: small

	mean, std []float64 // of its small images; nil: ImageNet's
	pixels    string    // what else they may be
	says      string    // what else a user should know, a sentence
}

// wrappers are keys and modules that other modules are put into.
var wrappers = []string{"state_dict", "model", "module", "_orig_mod", "model_state_dict", "model_state"}

const segmentation = "torchvision's segmentation networks"

// Each row's source: the repository that is named, and the file that writes its
// checkpoints or its models.
var layouts = []layout{
	// facebookresearch/moco moco/builder.py
	{name: "MoCo", at: []string{"encoder_q."}, method: "moco-v2"},
	// facebookresearch/moco-v3 moco/builder.py; vits.py has 12 heads in its small one too
	{name: "MoCo v3", at: []string{"base_encoder."}, heads: 12},
	// lucidrains/byol-pytorch byol_pytorch.py, NetWrapper
	{name: "BYOL (byol-pytorch)", at: []string{"online_encoder.net."}, method: "byol"},
	// sthalles/PyTorch-BYOL trainer.py, models/resnet_base_network.py; yaox12/BYOL-PyTorch
	{name: "BYOL", at: []string{"online_network_state_dict.encoder.", "online_network.encoder.",
		"online_network.", "online_encoder.", "online."}, method: "byol"},
	// facebookresearch/dino main_dino.py, utils.py MultiCropWrapper; the teacher is what it releases
	{name: "DINO", at: []string{"teacher.backbone.", "teacher.", "student.backbone.", "student."}, method: "dino"},
	// lightly-ai/lightly examples, dino.py
	{name: "lightly's DINO", at: []string{"teacher_backbone.", "student_backbone."}, method: "dino"},
	// facebookresearch/VICRegL main_vicregl.py
	{name: "VICRegL", at: []string{"backbone."}, signs: []string{"maps_projector."}, expander: "projector."},
	// facebookresearch/barlowtwins main.py
	{name: "Barlow Twins", at: []string{"backbone."}, signs: []string{"bn.running_mean"}, method: "barlow-twins"},
	// pytorch/vision torchvision/models/segmentation: fcn.py and deeplabv3.py
	{name: segmentation, at: []string{"backbone."}, signs: []string{"classifier.4.", "aux_classifier."},
		naming: "torchvision", says: "such networks do not halve the resolution in their last two stages, and vicreg does, so features differ from theirs"},
	// vturrisi/solo-learn solo/methods/base.py: conv1 of CIFAR's is 3×3 with a border of 2;
	// solo/data/pretrain_dataloader.py for the pixels
	{name: "solo-learn", at: []string{"backbone.", "encoder."},
		signs:   []string{"classifier.", "momentum_backbone.", "momentum_encoder.", "momentum_projector."},
		without: []string{"projection_head."}, cifar: "padded",
		mean: []float64{0.4914, 0.4822, 0.4465}, std: []float64{0.2470, 0.2435, 0.2616}},
	// facebookresearch/vicreg main_vicreg.py
	{name: "VICReg", at: []string{"backbone."}, signs: []string{"projector."}, method: "vicreg",
		expander: "projector."},
	// lightly-ai/lightly examples: nn.Sequential of a network's children
	{name: "lightly", at: []string{"backbone."}, signs: []string{"projection_head.", "prediction_head.",
		"backbone_momentum.", "projection_head_momentum.", "prototypes."}},
	// facebookresearch/simsiam simsiam/builder.py
	{name: "SimSiam", at: []string{"encoder."}, signs: []string{"predictor."}, method: "simsiam"},
	// facebookresearch/swav main_deepclusterv2.py, src/resnet50.py MultiPrototypes
	{name: "DeepCluster v2", at: []string{""}, signs: []string{"prototypes.prototypes"}, method: "deepcluster-v2"},
	// facebookresearch/swav main_swav.py, src/resnet50.py
	{name: "SwAV", at: []string{""}, signs: []string{"projection_head.", "prototypes."}, method: "swav"},
	// facebookresearch/mae models_mae.py
	{name: "MAE", at: []string{""}, signs: []string{"mask_token", "decoder_blocks."}},
	{name: "torchvision's vision transformer", at: []string{""}, naming: "torchvision's vision transformer"},
	// huggingface/pytorch-image-models timm/models/vision_transformer.py, default_cfgs
	{name: "timm's vision transformer", at: []string{""}, signs: []string{"head.", "pre_logits."},
		naming: "timm's vision transformer", pixels: "; those of AugReg want 0.5 and 0.5, DeiT's do not"},
	// facebookresearch/dino hubconf.py, facebookresearch/mae FINETUNE.md: the encoder alone
	{name: "a vision transformer alone, as of DINO, DeiT or timm", at: []string{""}, naming: "timm's vision transformer"},
	{name: "lightly's ResNetGenerator", at: []string{""}, signs: []string{"linear."}, naming: "torchvision"},
	{name: "torchvision or timm", at: []string{""}, signs: []string{"fc.weight"}, naming: "torchvision"},
	// facebookresearch/vicreg, VICRegL, barlowtwins and dino hubconf.py: the encoder alone
	{name: "a ResNet alone, as of VICReg, VICRegL, Barlow Twins or DINO", at: []string{""}, naming: "torchvision"},
	{name: "a backbone", at: []string{"backbone."}},
	{name: "an encoder", at: []string{"encoder."}},
}

// Layouts names the projects whose checkpoints are known.
func Layouts() []string {
	var names []string
	for _, l := range layouts {
		names = append(names, l.name)
	}
	return names
}

// bare is a name or what stands before one, without the wrappers.
func bare(name string) string {
	parts := strings.Split(name, ".")
	for i, p := range parts {
		if !slices.Contains(wrappers, p) {
			return strings.Join(without(parts[i:]), ".")
		}
	}
	return ""
}

// without drops wrappers that stand further in, as of teacher.module.backbone.
func without(parts []string) []string {
	return slices.DeleteFunc(slices.Clone(parts), func(p string) bool { return p == "module" || p == "_orig_mod" })
}

// suits reports whether a layout is that of a file with these bare names.
func (l *layout) suits(p place, names []string) bool {
	has := func(beginnings []string) bool {
		return slices.ContainsFunc(names, func(n string) bool {
			return slices.ContainsFunc(beginnings, func(b string) bool { return strings.HasPrefix(n, b) })
		})
	}
	return (l.naming == "" || l.naming == p.naming) && (l.signs == nil || has(l.signs)) && !has(l.without)
}
