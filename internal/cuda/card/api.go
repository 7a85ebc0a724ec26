//go:build native && linux && (amd64 || arm64)

package card

import "vicreg/internal/native"

// driverAPI are functions of libcuda.so.1.
type driverAPI struct {
	CuInit, CuDriverGetVersion, CuGetErrorName                                  native.Func
	CuDeviceGet, CuDeviceGetCount, CuDeviceGetName, CuDeviceGetAttribute        native.Func
	CuDeviceTotalMem_v2, CuDevicePrimaryCtxRetain, CuDevicePrimaryCtxRelease_v2 native.Func
	CuCtxSetCurrent, CuDeviceGetUuid                                            native.Func

	CuMemGetInfo_v2, CuMemAlloc_v2, CuMemFree_v2, CuMemHostAlloc, CuMemFreeHost native.Func
	CuMemcpyHtoDAsync_v2, CuMemcpyDtoHAsync_v2, CuMemcpyDtoDAsync_v2            native.Func
	CuMemsetD32Async                                                            native.Func

	CuStreamCreate, CuStreamDestroy_v2, CuStreamSynchronize, CuStreamQuery, CuStreamWaitEvent native.Func
	CuEventCreate, CuEventDestroy_v2, CuEventRecord, CuEventSynchronize, CuEventElapsedTime   native.Func

	CuModuleLoadDataEx, CuModuleGetFunction, CuFuncSetAttribute, CuLaunchKernel native.Func

	CuStreamBeginCapture_v2, CuStreamEndCapture                                    native.Func
	CuGraphInstantiateWithFlags, CuGraphLaunch, CuGraphExecDestroy, CuGraphDestroy native.Func
}

// dnnAPI are functions of libcudnn.so.9.
type dnnAPI struct {
	CudnnGetVersion, CudnnGetCudartVersion, CudnnGetErrorString native.Func
	CudnnCreate, CudnnDestroy, CudnnSetStream                   native.Func

	CudnnCreateTensorDescriptor, CudnnSetTensor4dDescriptor           native.Func
	CudnnCreateFilterDescriptor, CudnnSetFilter4dDescriptor           native.Func
	CudnnCreateConvolutionDescriptor, CudnnSetConvolution2dDescriptor native.Func
	CudnnSetConvolutionMathType                                       native.Func
	CudnnDestroyTensorDescriptor, CudnnDestroyFilterDescriptor        native.Func
	CudnnDestroyConvolutionDescriptor                                 native.Func
	CudnnGetConvolutionForwardAlgorithm_v7                            native.Func
	CudnnGetConvolutionBackwardDataAlgorithm_v7                       native.Func
	CudnnGetConvolutionBackwardFilterAlgorithm_v7                     native.Func
	CudnnConvolutionForward, CudnnConvolutionBackwardData             native.Func
	CudnnConvolutionBackwardFilter                                    native.Func
}

// blasAPI are functions of libcublasLt.so.
type blasAPI struct {
	CublasLtGetVersion, CublasLtGetStatusName, CublasLtCreate, CublasLtDestroy          native.Func
	CublasLtMatmulDescCreate, CublasLtMatmulDescSetAttribute, CublasLtMatmulDescDestroy native.Func
	CublasLtMatrixLayoutCreate, CublasLtMatrixLayoutSetAttribute                        native.Func
	CublasLtMatrixLayoutDestroy                                                         native.Func
	CublasLtMatmulPreferenceCreate, CublasLtMatmulPreferenceSetAttribute                native.Func
	CublasLtMatmulPreferenceDestroy                                                     native.Func
	CublasLtMatmulAlgoGetHeuristic, CublasLtMatmul                                      native.Func
}

// Numbers of cuda.h.
const (
	computeMajor       = 75 // CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR
	computeMinor       = 76 // CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR
	multiprocessors    = 16 // CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT
	l2Size             = 38 // CU_DEVICE_ATTRIBUTE_L2_CACHE_SIZE
	sharedPerBlockMost = 97 // CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN

	streamNonBlocking = 1 // CU_STREAM_NON_BLOCKING
	eventDefault      = 0 // CU_EVENT_DEFAULT
	captureRelaxed    = 2 // CU_STREAM_CAPTURE_MODE_RELAXED: any thread may go on with it, and allocate

	paramEnd     = 0 // CU_LAUNCH_PARAM_END
	paramPointer = 1 // CU_LAUNCH_PARAM_BUFFER_POINTER
	paramSize    = 2 // CU_LAUNCH_PARAM_BUFFER_SIZE

	dynamicShared = 8 // CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES

	jitErrorLog     = 5 // CU_JIT_ERROR_LOG_BUFFER
	jitErrorLogSize = 6 // CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES

	errorNoDevice    = 100 // CUDA_ERROR_NO_DEVICE
	errorNotReady    = 600 // CUDA_ERROR_NOT_READY
	errorOutOfMemory = 2   // CUDA_ERROR_OUT_OF_MEMORY
)

// Numbers of cudnn.h, version 9.
const (
	dnnFloat    = 0 // CUDNN_DATA_FLOAT
	dnnBFloat16 = 9 // CUDNN_DATA_BFLOAT16

	dnnNHWC = 1 // CUDNN_TENSOR_NHWC

	dnnCrossCorrelation = 1 // CUDNN_CROSS_CORRELATION

	dnnTensorOpMath = 1 // CUDNN_TENSOR_OP_MATH
	dnnFMAMath      = 3 // CUDNN_FMA_MATH: float32 without TF32

	dnnDeterministic = 1 // CUDNN_DETERMINISTIC

	dnnNotSupported = 3000 // CUDNN_STATUS_NOT_SUPPORTED
)

// Numbers of cublasLt.h and library_types.h.
const (
	realFloat    = 0  // CUDA_R_32F
	realBFloat16 = 14 // CUDA_R_16BF

	compute32F     = 68 // CUBLAS_COMPUTE_32F
	compute32FTF32 = 77 // CUBLAS_COMPUTE_32F_FAST_TF32

	blasN = 0 // CUBLAS_OP_N
	blasT = 1 // CUBLAS_OP_T

	descTransA = 3 // CUBLASLT_MATMUL_DESC_TRANSA, int32
	descTransB = 4 // CUBLASLT_MATMUL_DESC_TRANSB, int32

	descEpilogue    = 7 // CUBLASLT_MATMUL_DESC_EPILOGUE, int32
	descBiasPointer = 8 // CUBLASLT_MATMUL_DESC_BIAS_POINTER, void *
	epilogueBias    = 4 // CUBLASLT_EPILOGUE_BIAS

	layoutBatchCount  = 5 // CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT, int32
	layoutBatchOffset = 6 // CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET, int64

	prefWorkspace  = 1 // CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, uint64
	prefReduction  = 3 // CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK, uint32
	prefAlignmentA = 5 // CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, uint32; then B, C and D

	reduceInComputeType = 2 // CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE

	blasNotSupported = 15 // CUBLAS_STATUS_NOT_SUPPORTED
)
