package column

// The column kernels in plain Go.

func sumColumnsPlain(dst []float32, ds int, z []float32, zs, rows, cols int, sum []float64) {
	sum = sum[:cols]
	for r := range rows {
		in, out := z[r*zs:][:cols], dst[r*ds:][:cols]
		for j, v := range in {
			out[j] = v
			sum[j] += float64(v)
		}
	}
}

func centreColumnsPlain(z []float32, zs, rows, cols int, mean, square []float64) {
	mean, square = mean[:cols], square[:cols]
	for r := range rows {
		row := z[r*zs:][:cols]
		for j, v := range row {
			c := float64(v) - mean[j]
			row[j] = float32(c)
			square[j] += c * c
		}
	}
}

// distanceColumnsPlain sums in 8 lanes, as the fast variants do.
func distanceColumnsPlain(a []float32, as int, b []float32, bs, rows, cols int, lanes *[8]float64) {
	for r := range rows {
		x, y := a[r*as:][:cols], b[r*bs:][:cols]
		for j, v := range x {
			d := float64(v) - float64(y[j])
			lanes[j&7] += d * d
		}
	}
}

func gradColumnsPlain(dst []float32, ds int, c []float32, cs int, a, b []float32, zs, rows, cols int, mean []float64,
	coef []float32, beta float32) {
	mean, coef = mean[:cols], coef[:cols]
	for r := range rows {
		x, y := a[r*zs:][:cols], b[r*zs:][:cols]
		centred, out := c[r*cs:][:cols], dst[r*ds:][:cols]
		for j, v := range x {
			u := float32(float64(v) - mean[j])
			centred[j] = u
			out[j] = coef[j]*u + beta*(v-y[j])
		}
	}
}
