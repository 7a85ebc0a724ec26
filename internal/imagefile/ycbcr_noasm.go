//go:build !amd64

package imagefile

func (k *ycc) row(dst, luma, cb, cr []uint8, shift int) { k.rowPlain(dst, luma, cb, cr, shift) }
