package product

// plainTile is the register tile in Go, for any number of rows, and cols a multiple of
// 4:
//
//	c[i*crs+j] (+)= Σ_p a[i*ars+p*aks] · b[p*brs+j]
//
// It computes 2 × 4 elements at a time, which compilers keep in registers. If the number
// of rows is odd, the last one is computed twice.
func plainTile(rows, cols, k int, c []float32, crs int, a []float32, ars, aks int, b []float32, brs int,
	accumulate bool) {
	for i := 0; i < rows; i += 2 {
		below := min(i+1, rows-1)
		for j := 0; j < cols; j += 4 {
			var s0, s1, s2, s3, t0, t1, t2, t3 float32
			for p := range k {
				x, y := a[i*ars+p*aks], a[below*ars+p*aks]
				z := b[p*brs+j:][:4]
				s0 += x * z[0]
				s1 += x * z[1]
				s2 += x * z[2]
				s3 += x * z[3]
				t0 += y * z[0]
				t1 += y * z[1]
				t2 += y * z[2]
				t3 += y * z[3]
			}
			putFour(c[i*crs+j:], s0, s1, s2, s3, accumulate)
			if below > i {
				putFour(c[below*crs+j:], t0, t1, t2, t3, accumulate)
			}
		}
	}
}

func putFour(c []float32, s0, s1, s2, s3 float32, accumulate bool) {
	c = c[:4]
	if accumulate {
		s0, s1, s2, s3 = s0+c[0], s1+c[1], s2+c[2], s3+c[3]
	}
	c[0], c[1], c[2], c[3] = s0, s1, s2, s3
}
