// Compiled to axpy.ptx by:
// clang-19 -x cuda --cuda-gpu-arch=sm_80 --cuda-device-only -nocudainc -nocudalib -O2 -S axpy.cu -o axpy.ptx
#define global __attribute__((global))
struct Args { float *y; const float *x; float a; int n; };
extern "C" global void axpy(const Args p) {
  int i = __nvvm_read_ptx_sreg_ctaid_x() * __nvvm_read_ptx_sreg_ntid_x() + __nvvm_read_ptx_sreg_tid_x();
  if (i < p.n) p.y[i] += p.a * p.x[i];
}
// Turns a block's values around in dynamic shared memory.
extern "C" global void turn(const Args p) {
  extern __attribute__((shared)) float t[];
  int n = __nvvm_read_ptx_sreg_ntid_x(), i = __nvvm_read_ptx_sreg_tid_x();
  t[i] = p.x[i];
  __syncthreads();
  p.y[i] = t[n - 1 - i];
}
