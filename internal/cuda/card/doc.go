// Package card is an NVIDIA card: package cuda's Driver over libcuda, cuBLASLt and cuDNN,
// which are opened at run time. It has code in builds with the tag native, on Linux, only.
package card
