// One LSTM layer over a whole sequence for training on a CPU: matrix products in bf16 through ATen, gate arithmetic in f32.
// Gate order i, f, g, o. T steps, B sequences, H cells.
#include <torch/extension.h>

#include <algorithm>
#include <cmath>
#include <cstring>

using at::BFloat16;

namespace {

inline float widen(BFloat16 v) {
  uint32_t bits = static_cast<uint32_t>(v.x) << 16;
  float out;
  std::memcpy(&out, &bits, 4);
  return out;
}

inline uint16_t narrow(float v) {
  uint32_t bits;
  std::memcpy(&bits, &v, 4);
  return static_cast<uint16_t>((bits + 0x7fff + ((bits >> 16) & 1)) >> 16);
}

// Fast division makes 1 / inf a NaN, so the exponential is kept finite.
inline float sigmoid(float x) { return 1.0f / (1.0f + std::exp(std::min(-x, 40.0f))); }
inline float tangent(float x) { return 2.0f * sigmoid(2.0f * x) - 1.0f; }

void gates_forward(const BFloat16* z, const float* c_prev, uint16_t* act, float* c, uint16_t* h, int64_t B, int64_t H) {
  for (int64_t b = 0; b < B; ++b) {
    const BFloat16* zb = z + b * 4 * H;
    uint16_t* ab = act + b * 4 * H;
    const float* pb = c_prev + b * H;
    float* cb = c + b * H;
    uint16_t* hb = h + b * H;
#pragma omp simd
    for (int64_t k = 0; k < H; ++k) {
      float i = sigmoid(widen(zb[k])), f = sigmoid(widen(zb[H + k]));
      float g = tangent(widen(zb[2 * H + k])), o = sigmoid(widen(zb[3 * H + k]));
      float cell = f * pb[k] + i * g;
      cb[k] = cell;
      hb[k] = narrow(o * tangent(cell));
      ab[k] = narrow(i);
      ab[H + k] = narrow(f);
      ab[2 * H + k] = narrow(g);
      ab[3 * H + k] = narrow(o);
    }
  }
}

void gates_backward(const BFloat16* grad_h, const BFloat16* carried, const BFloat16* act, const float* c_prev, const float* c, float* dc,
                    uint16_t* dz, int64_t B, int64_t H) {
  for (int64_t b = 0; b < B; ++b) {
    const BFloat16 *gb = grad_h + b * H, *rb = carried + b * H, *ab = act + b * 4 * H;
    const float *pb = c_prev + b * H, *cb = c + b * H;
    float* db = dc + b * H;
    uint16_t* zb = dz + b * 4 * H;
#pragma omp simd
    for (int64_t k = 0; k < H; ++k) {
      float i = widen(ab[k]), f = widen(ab[H + k]), g = widen(ab[2 * H + k]), o = widen(ab[3 * H + k]);
      float dh = widen(gb[k]) + widen(rb[k]);
      float t = tangent(cb[k]);
      float d = db[k] + dh * o * (1.0f - t * t);
      zb[k] = narrow(d * g * i * (1.0f - i));
      zb[H + k] = narrow(d * pb[k] * f * (1.0f - f));
      zb[2 * H + k] = narrow(d * i * (1.0f - g * g));
      zb[3 * H + k] = narrow(dh * t * o * (1.0f - o));
      db[k] = d * f;
    }
  }
}

uint16_t* raw(const at::Tensor& t) { return reinterpret_cast<uint16_t*>(t.data_ptr<BFloat16>()); }

}  // namespace

// z [T, B, 4H] bf16 = input products and biases; w [H, 4H] bf16 -> h [T, B, H] bf16, act [T, B, 4H] bf16, c [T + 1, B, H] f32.
std::vector<at::Tensor> forward(at::Tensor z, at::Tensor w, at::Tensor h0, at::Tensor c0) {
  const int64_t T = z.size(0), B = z.size(1), H = z.size(2) / 4;
  auto h = at::empty({T, B, H}, z.options());
  auto act = at::empty_like(z);
  auto c = at::empty({T + 1, B, H}, c0.options());
  c[0].copy_(c0);
  auto sum = at::empty({B, 4 * H}, z.options());
  at::Tensor previous = h0;
  for (int64_t t = 0; t < T; ++t) {
    at::addmm_out(sum, z[t], previous, w);
    gates_forward(sum.data_ptr<BFloat16>(), c[t].data_ptr<float>(), raw(act[t]), c[t + 1].data_ptr<float>(), raw(h[t]), B, H);
    previous = h[t];
  }
  return {h, act, c};
}

// grad [T, B, H] bf16; w [4H, H] bf16 -> dz [T, B, 4H] bf16, dh0 [B, H] bf16, dc0 [B, H] f32.
std::vector<at::Tensor> backward(at::Tensor grad, at::Tensor act, at::Tensor c, at::Tensor w) {
  const int64_t T = grad.size(0), B = grad.size(1), H = grad.size(2);
  auto dz = at::empty_like(act);
  auto dc = at::zeros({B, H}, c.options());
  auto carried = at::zeros({B, H}, grad.options());
  for (int64_t t = T - 1; t >= 0; --t) {
    gates_backward(grad[t].data_ptr<BFloat16>(), carried.data_ptr<BFloat16>(), act[t].data_ptr<BFloat16>(), c[t].data_ptr<float>(),
                   c[t + 1].data_ptr<float>(), dc.data_ptr<float>(), raw(dz[t]), B, H);
    at::mm_out(carried, dz[t], w);
  }
  return {dz, carried, dc};
}

PYBIND11_MODULE(TORCH_EXTENSION_NAME, m) {
  m.def("forward", &forward);
  m.def("backward", &backward);
}
