package kernel

// plainGemm is the definition of the matrix product, for any strides:
//
//	for i, j:  c[i·crs+j·ccs] (+)= Σ_p a[i·ars+p·aks] · b[p·bks+j·bjs]
func plainGemm(m, n, k int, c []float32, crs, ccs int, a []float32, ars, aks int, b []float32, bks, bjs int, accumulate bool) {
	for i := range m {
		for j := range n {
			var sum float32
			for p := range k {
				sum += a[i*ars+p*aks] * b[p*bks+j*bjs]
			}
			if accumulate {
				sum += c[i*crs+j*ccs]
			}
			c[i*crs+j*ccs] = sum
		}
	}
}
