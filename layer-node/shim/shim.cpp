// The C functions that tch's generated bindings lack: backward calls with masks, scaled addition, and switches for
// the allocator and CUDA. Every function returns null, or a message that the caller frees.
#include "guarded.h"
#include <ATen/Context.h>
#include <ATen/core/Tensor.h>
#include <ATen/ops/_fused_sgd.h>
#include <ATen/ops/convolution_backward.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/native_batch_norm_backward.h>
#include <ATen/ops/threshold_backward.h>
#include <array>
#include <cstdlib>
#include <dlfcn.h>
#include <malloc.h>
#include <vector>

using at::Tensor;

namespace {

// Whether nothing but `tensor` holds its memory, and torch allocated it. Memory that something else lends, such as a
// received message, has no allocator.
bool is_alone(const Tensor& tensor) {
  const c10::Storage& storage = tensor.unsafeGetTensorImpl()->unsafe_storage();
  return tensor.use_count() == 1 && storage.use_count() == 1 && storage.allocator() != nullptr;
}

// Whether both tensors have the same shape and the same memory order. The strides of dimensions of size 1 mean nothing.
bool are_alike(const Tensor& left, const Tensor& right) {
  if (left.sizes() != right.sizes()) return false;
  for (int64_t at = 0; at < left.dim(); ++at) {
    if (left.size(at) > 1 && left.stride(at) != right.stride(at)) return false;
  }
  return left.is_non_overlapping_and_dense() && right.is_non_overlapping_and_dense();
}

}  // namespace

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

// `tensor` with the strides of row-major order, or of N, H, W, C; `out` stays null where it has them. Contiguity ignores
// the strides of dimensions of size 1, on which kernels depend all the same.
char* neuropil_settled(const Tensor* tensor, bool channels_last, Tensor** out) {
  return guarded([&] {
    bool last = channels_last && tensor->dim() == 4;
    auto format = last ? at::MemoryFormat::ChannelsLast : at::MemoryFormat::Contiguous;
    auto sizes = tensor->sizes();
    std::vector<int64_t> strides(sizes.size(), 1);
    if (last) {
      strides = {sizes[1] * sizes[2] * sizes[3], 1, sizes[1] * sizes[3], sizes[1]};
    } else {
      for (size_t at = strides.size(); at-- > 1;) strides[at - 1] = strides[at] * sizes[at];
    }
    if (tensor->strides() == at::IntArrayRef(strides)) return;
    *out = new Tensor(tensor->contiguous(format).as_strided(sizes, strides));
  });
}

// max(0, x), in x's memory where it is alone.
char* neuropil_relu(Tensor* x, Tensor** out) {
  return guarded([&] { *out = new Tensor(is_alone(*x) ? x->relu_() : x->relu()); });
}

// The error at ReLU's input from its output y, in the error's memory where it is alone.
char* neuropil_relu_backward(Tensor* error, const Tensor* y, Tensor** out) {
  return guarded([&] {
    if (is_alone(*error)) {
      *out = new Tensor(at::threshold_backward_out(*error, *error, *y, 0));
    } else {
      *out = new Tensor(at::threshold_backward(*error, *y, 0));
    }
  });
}

// left + right, in left's memory where it is alone.
char* neuropil_add(Tensor* left, const Tensor* right, Tensor** out) {
  return guarded([&] { *out = new Tensor(is_alone(*left) ? left->add_(*right) : left->add(*right)); });
}

// One step of SGD with momentum. `numbers`: the learning rate, the momentum and the weight decay.
char* neuropil_sgd_step(Tensor* value, const Tensor* gradient, Tensor* buffer, const double* numbers, bool nesterov) {
  return guarded([&] {
    TORCH_CHECK(value->sizes() == gradient->sizes(), "a step of ", value->sizes(), " does not fit a gradient of ",
                gradient->sizes());
    TORCH_CHECK(are_alike(*value, *buffer), "the momentum of a step has other strides than its value");
    // The kernel goes through memory, whatever the strides are.
    Tensor along = are_alike(*value, *gradient) ? *gradient : at::empty_like(*value).copy_(*gradient);
    at::_fused_sgd_(at::TensorList(*value), at::TensorList(along), at::TensorList(*buffer), numbers[2], numbers[1],
                    numbers[0], /*dampening=*/0, nesterov, /*maximize=*/false, /*is_first_step=*/false);
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
