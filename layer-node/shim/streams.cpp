// Streams, events and pinned memory of an accelerator, by the interfaces of libtorch that name no kind of device: this
// file compiles against libtorch's CPU headers, and finds CUDA at run time if libtorch_cuda was loaded.
#include "guarded.h"
#include <ATen/Context.h>
#include <ATen/core/Tensor.h>
#include <ATen/ops/empty.h>
#include <c10/core/Event.h>
#include <c10/core/StreamGuard.h>
#include <c10/core/impl/VirtualGuardImpl.h>

using at::Tensor;

namespace {
// The computing stream of the thread that opened it, and a stream for copies in each direction.
struct Streams {
  explicit Streams(c10::Device device)
      : guard(device.type()), device(device), compute(on(guard, device)), up(guard.getStreamFromGlobalPool(device, true)),
        down(guard.getStreamFromGlobalPool(device, true)) {}

  // Pinned memory belongs to the context of the thread's device, so the device comes first.
  static c10::Stream on(const c10::impl::VirtualGuardImpl& guard, c10::Device device) {
    at::globalContext().lazyInitDevice(device.type());
    guard.setDevice(device);
    return guard.getStream(device);
  }

  c10::impl::VirtualGuardImpl guard;
  c10::Device device;
  c10::Stream compute, up, down;
};

c10::Event* recorded(const c10::Stream& stream, c10::EventFlag flag = c10::EventFlag::PYTORCH_DEFAULT) {
  auto event = std::make_unique<c10::Event>(stream.device_type(), flag);
  event->record(stream);
  return event.release();
}
}  // namespace

extern "C" {

char* neuropil_streams_open(int index, Streams** out) {
  return guarded([&] { *out = new Streams(c10::Device(c10::DeviceType::CUDA, static_cast<c10::DeviceIndex>(index))); });
}

void neuropil_streams_close(Streams* streams) { delete streams; }

// An empty tensor, with the number format of `like`, in main memory that the device reaches by itself.
char* neuropil_pinned(const int64_t* sizes, size_t dimensions, const Tensor* like, Tensor** out) {
  return guarded([&] {
    *out = new Tensor(at::empty(at::IntArrayRef(sizes, dimensions), like->options().pinned_memory(true)));
  });
}

// Begins the copy of a pinned tensor to the device. The computing stream may use it after `copied`.
char* neuropil_upload(Streams* streams, const Tensor* pinned, Tensor** out, c10::Event** copied) {
  return guarded([&] {
    Tensor tensor;
    {
      c10::StreamGuard on(streams->up);
      tensor = at::empty(pinned->sizes(), pinned->options().device(streams->device).pinned_memory(false));
      tensor.copy_(*pinned, /*non_blocking=*/true);
    }
    // The memory is the upload stream's: it must not be given out again before the computing stream is done with it.
    tensor.record_stream(streams->compute);
    *copied = recorded(streams->up);
    *out = new Tensor(std::move(tensor));
  });
}

// Begins the copy of a tensor, once it is computed, to pinned memory, which is complete after `copied`.
char* neuropil_download(Streams* streams, const Tensor* source, Tensor** out, c10::Event** copied) {
  return guarded([&] {
    c10::Event computed(streams->device.type());
    computed.record(streams->compute);
    auto pinned = at::empty(source->sizes(), source->options().device(at::kCPU).pinned_memory(true));
    {
      c10::StreamGuard on(streams->down);
      computed.block(streams->down);
      pinned.copy_(*source, /*non_blocking=*/true);
    }
    source->record_stream(streams->down);
    *copied = recorded(streams->down);
    *out = new Tensor(std::move(pinned));
  });
}

// Marks the place that the computing stream has reached, with its time.
char* neuropil_mark(Streams* streams, c10::Event** out) {
  return guarded([&] { *out = recorded(streams->compute, c10::EventFlag::BACKEND_DEFAULT); });
}

// The computing stream waits for the event; the calling thread doesn't.
char* neuropil_wait(Streams* streams, const c10::Event* event) {
  return guarded([&] { event->block(streams->compute); });
}

// The event's device becomes the calling thread's: the end of an event goes back to the thread's device, and a thread that
// has none would start a context on the first GPU, whichever GPU the node has.
char* neuropil_event_synchronize(const c10::Event* event) {
  return guarded([&] {
    c10::impl::VirtualGuardImpl(event->device_type()).setDevice(event->device());
    event->synchronize();
  });
}

// Milliseconds between two marks that the device has reached.
char* neuropil_event_elapsed(const c10::Event* from, const c10::Event* to, double* milliseconds) {
  return guarded([&] { *milliseconds = from->elapsedTime(*to); });
}

void neuropil_event_free(c10::Event* event) { delete event; }

// Whether kernels are chosen that give the same bits run after run. An operation without such a kernel fails.
char* neuropil_deterministic(bool on) {
  return guarded([&] {
    auto& context = at::globalContext();
    context.setDeterministicCuDNN(on);
    context.setBenchmarkCuDNN(false);
    context.setDeterministicAlgorithms(on, /*warn_only=*/false);
    // Nothing here reads memory that it has not written.
    context.setDeterministicFillUninitializedMemory(false);
  });
}
}
