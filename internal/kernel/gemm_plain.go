package kernel

// plainTile is the register tile in Go, for any rows, and cols a multiple of 4:
//
//	c[i*crs+j] (+)= Σ_p a[i*ars+p*aks] · b[p*brs+j]
func plainTile(rows, cols, k int, c []float32, crs int, a []float32, ars, aks int, b []float32, brs int, accumulate bool) {
	for i := range rows {
		for j := 0; j < cols; j += 4 {
			var s0, s1, s2, s3 float32
			for p := range k {
				x := a[i*ars+p*aks]
				y := b[p*brs+j:][:4]
				s0 += x * y[0]
				s1 += x * y[1]
				s2 += x * y[2]
				s3 += x * y[3]
			}
			out := c[i*crs+j:][:4]
			if accumulate {
				s0, s1, s2, s3 = s0+out[0], s1+out[1], s2+out[2], s3+out[3]
			}
			out[0], out[1], out[2], out[3] = s0, s1, s2, s3
		}
	}
}
