// The C functions that tch's generated bindings lack: backward calls with masks, scaled addition, and switches for
// the allocator and CUDA. Every function returns null, or a message that the caller frees.
#include "guarded.h"
#include <ATen/ATen.h>
#include <ATen/Context.h>
#include <array>
#include <cstdlib>
#include <dlfcn.h>
#include <malloc.h>

using at::Tensor;

extern "C" {

// The adjoint of a square conv2d at `w` (mask 1) or its filter gradient (mask 2).
char* neuropil_conv2d_backward(const Tensor* error, const Tensor* x, const Tensor* w, int64_t stride,
                               int64_t padding, int mask, Tensor** out) {
  return guarded([&] {
    std::array<bool, 3> wanted{mask == 1, mask == 2, false};
    auto [at_x, at_w, at_bias] = at::convolution_backward(*error, *x, *w, at::OptionalIntArrayRef(), {stride, stride},
                                                          {padding, padding}, {1, 1}, false, {0, 0}, 1, wanted);
    *out = new Tensor(mask == 1 ? at_x : at_w);
  });
}

// The errors at x, gamma and beta of a training batch norm.
char* neuropil_batch_norm_backward(const Tensor* error, const Tensor* x, const Tensor* gamma, const Tensor* mean,
                                   const Tensor* inverse_deviation, double eps, Tensor** out) {
  return guarded([&] {
    auto [at_x, at_gamma, at_beta] = at::native_batch_norm_backward(*error, *x, *gamma, {}, {}, *mean,
                                                                    *inverse_deviation, true, eps, {true, true, true});
    out[0] = new Tensor(at_x);
    out[1] = new Tensor(at_gamma);
    out[2] = new Tensor(at_beta);
  });
}

// into += factor * from
char* neuropil_add_scaled(Tensor* into, const Tensor* from, double factor) {
  return guarded([&] { into->add_(*from, factor); });
}

// Whether CUDA's products of f32 factors may see their upper 19 bits alone. Products of bf16 factors are summed in f32.
char* neuropil_allow_tf32(bool allowed) {
  return guarded([&] {
    at::Context& context = at::globalContext();
    context.setAllowTF32CuBLAS(allowed);
    context.setAllowTF32CuDNN(allowed);
    context.setAllowBF16ReductionCuBLAS(false);
  });
}

// Makes malloc keep large blocks: otherwise the kernel takes them back and zeroes them again at every microbatch.
void neuropil_keep_large_blocks() {
  mallopt(M_MMAP_MAX, 0);
  mallopt(M_TRIM_THRESHOLD, 512 << 20);
}

// Loads a library for the whole process. libtorch_cuda registers CUDA with torch when it is loaded.
char* neuropil_load(const char* name) {
  return dlopen(name, RTLD_NOW | RTLD_GLOBAL) ? nullptr : strdup(dlerror());
}

// Sets a variable of the environment that is not set. No other thread may run yet.
void neuropil_default_variable(const char* name, const char* value) { setenv(name, value, /*overwrite=*/0); }
}
