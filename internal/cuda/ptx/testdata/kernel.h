// What CUDA C needs, without NVIDIA's headers.
#define __global__ __attribute__((global))
#define __device__ __attribute__((device))
#define __shared__ __attribute__((shared))
#define __constant__ __attribute__((constant))
#define KERNEL extern "C" __global__ void
#define INLINE static inline __device__
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;
typedef long long s64;
typedef unsigned u32x4 __attribute__((ext_vector_type(4)));
typedef float f32x4 __attribute__((ext_vector_type(4)));
typedef __bf16 bf16;
typedef __bf16 bf16x2 __attribute__((ext_vector_type(2)));
INLINE int tid() { return __nvvm_read_ptx_sreg_tid_x(); }
INLINE int bid() { return __nvvm_read_ptx_sreg_ctaid_x(); }
INLINE int threads() { return __nvvm_read_ptx_sreg_ntid_x(); }
INLINE int blocks() { return __nvvm_read_ptx_sreg_nctaid_x(); }
INLINE int index() { return bid() * threads() + tid(); }
INLINE u32 place(const void *p) { return (u32)(u64)(const __attribute__((address_space(3))) void *)p; }
