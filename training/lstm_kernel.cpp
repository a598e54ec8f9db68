// One LSTM layer over a whole sequence for training on a CPU: matrix products in bf16, gate arithmetic in f32.
// Gate order i, f, g, o. T steps, B sequences, H cells. Where the CPU has AMX tiles or AVX-512 BF16 and H is a multiple of 32, the
// recurrent weights are packed once a sequence and the sums never leave f32; elsewhere the products go through ATen, which rounds them.
#include <ATen/Parallel.h>
#include <torch/extension.h>

#if defined(__AVX512BF16__)
#include <immintrin.h>
#define PACKED 1
#if defined(__AMX_BF16__) && defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>
#define TILES 1
#endif
#endif

#include <algorithm>
#include <cmath>
#include <cstdlib>
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

// e^x for -60 <= x <= 60 to 2e-6: two to the whole part through the exponent bits, times the Taylor series of two to the rest.
inline float exponential(float x) {
  float t = x * 1.44269504f, whole = std::floor(t + 0.5f), r = (t - whole) * 0.693147181f;
  float p = 1.0f + r * (1.0f + r * (0.5f + r * (1.0f / 6 + r * (1.0f / 24 + r * (1.0f / 120)))));
  int32_t bits = (static_cast<int32_t>(whole) + 127) << 23;
  float scale;
  std::memcpy(&scale, &bits, 4);
  return p * scale;
}

inline float sigmoid(float x) { return 1.0f / (1.0f + exponential(std::max(-30.0f, std::min(-x, 30.0f)))); }
inline float tangent(float x) { return 2.0f * sigmoid(2.0f * x) - 1.0f; }

// z and `sums` (none: null) add up to the inputs of the gates.
template <typename Sums>
void gates_forward(const BFloat16* z, Sums sums, const float* c_prev, uint16_t* act, float* c, uint16_t* h, int64_t B, int64_t H) {
  for (int64_t b = 0; b < B; ++b) {
    const BFloat16* zb = z + b * 4 * H;
    auto input = [&](int64_t k) {
      if constexpr (std::is_pointer_v<Sums>) return widen(zb[k]) + sums[b * 4 * H + k];
      else return widen(zb[k]);
    };
    uint16_t* ab = act + b * 4 * H;
    const float* pb = c_prev + b * H;
    float* cb = c + b * H;
    uint16_t* hb = h + b * H;
#pragma omp simd
    for (int64_t k = 0; k < H; ++k) {
      float i = sigmoid(input(k)), f = sigmoid(input(H + k)), g = tangent(input(2 * H + k)), o = sigmoid(input(3 * H + k));
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

void gates_backward(const BFloat16* grad_h, const float* carried, const BFloat16* act, const float* c_prev, const float* c, float* dc,
                    uint16_t* dz, int64_t from, int64_t to, int64_t H) {
  for (int64_t b = from; b < to; ++b) {
    const BFloat16 *gb = grad_h + b * H, *ab = act + b * 4 * H;
    const float *rb = carried + b * H, *pb = c_prev + b * H, *cb = c + b * H;
    float* db = dc + b * H;
    uint16_t* zb = dz + b * 4 * H;
#pragma omp simd
    for (int64_t k = 0; k < H; ++k) {
      float i = widen(ab[k]), f = widen(ab[H + k]), g = widen(ab[2 * H + k]), o = widen(ab[3 * H + k]);
      float dh = widen(gb[k]) + rb[k];
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

#ifdef PACKED
constexpr int64_t LANES = 16;        // columns of a tile of f32, rows of any tile
constexpr int64_t TILE = 16 * 32;    // bf16 values of a tile

// w [K, N] -> tiles [N/16][K/32] of [16 pairs of rows][16 columns][2].
std::vector<uint16_t> pack(const uint16_t* w, int64_t K, int64_t N) {
  std::vector<uint16_t> out(K * N);
  uint16_t* p = out.data();
  for (int64_t n = 0; n < N; n += LANES)
    for (int64_t k = 0; k < K; k += 2)
      for (int64_t c = 0; c < LANES; ++c) {
        *p++ = w[k * N + n + c];
        *p++ = w[(k + 1) * N + n + c];
      }
  return out;
}

// ROWS rows of a [., K] times two packed column blocks, in vectors; `to`: where the two blocks of 16 columns go.
template <int ROWS>
void vectors(const uint16_t* a, int64_t K, const uint16_t* left, const uint16_t* right, float* to_left, float* to_right, int64_t stride) {
  __m512 sums[ROWS][2];
  for (auto& row : sums) row[0] = row[1] = _mm512_setzero_ps();
  for (int64_t k = 0; k < K; k += 2) {
    const __m512bh l = (__m512bh)_mm512_loadu_si512(left + k * LANES), r = (__m512bh)_mm512_loadu_si512(right + k * LANES);
    for (int i = 0; i < ROWS; ++i) {
      int32_t pair;
      std::memcpy(&pair, a + i * K + k, 4);
      const __m512bh both = (__m512bh)_mm512_set1_epi32(pair);
      sums[i][0] = _mm512_dpbf16_ps(sums[i][0], both, l);
      sums[i][1] = _mm512_dpbf16_ps(sums[i][1], both, r);
    }
  }
  for (int i = 0; i < ROWS; ++i) {
    _mm512_storeu_ps(to_left + i * stride, sums[i][0]);
    _mm512_storeu_ps(to_right + i * stride, sums[i][1]);
  }
}
#endif

#ifdef TILES
constexpr int REQUEST_PERMISSION = 0x1023, TILE_DATA = 18;  // Linux: arch_prctl(ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA)

bool tiles_allowed() {
  static const bool allowed = !std::getenv("VIVAVOCE_NO_TILES") && syscall(SYS_arch_prctl, REQUEST_PERMISSION, TILE_DATA) == 0;
  return allowed;
}

struct alignas(64) TileShapes {
  uint8_t palette = 1, start_row = 0, reserved[14] = {};
  uint16_t bytes[16] = {};
  uint8_t rows[16] = {};
};

// Tiles 0-3 sum two row blocks times two column blocks, 4 and 5 hold the row blocks, 6 and 7 the column blocks.
void shape_tiles(int64_t first, int64_t second) {
  TileShapes s;
  const int64_t rows[8] = {first, first, second, second, first, second, 16, 16};
  for (int i = 0; i < 8; ++i) {
    s.bytes[i] = 64;
    s.rows[i] = static_cast<uint8_t>(std::max<int64_t>(rows[i], 1));
  }
  _tile_loadconfig(&s);
}

// Up to 32 rows of a [., K] times two packed column blocks; `to`: where the two blocks of 16 columns go.
template <bool TWO>
void tiles(const uint16_t* a, int64_t K, const uint16_t* left, const uint16_t* right, float* to_left, float* to_right, int64_t stride) {
  _tile_zero(0);
  _tile_zero(1);
  if (TWO) {
    _tile_zero(2);
    _tile_zero(3);
  }
  for (int64_t k = 0; k < K / 32; ++k) {
    _tile_loadd(4, a + k * 32, K * 2);
    _tile_loadd(6, left + k * TILE, 64);
    _tile_loadd(7, right + k * TILE, 64);
    _tile_dpbf16ps(0, 4, 6);
    _tile_dpbf16ps(1, 4, 7);
    if (TWO) {
      _tile_loadd(5, a + 16 * K + k * 32, K * 2);
      _tile_dpbf16ps(2, 5, 6);
      _tile_dpbf16ps(3, 5, 7);
    }
  }
  _tile_stored(0, to_left, stride * 4);
  _tile_stored(1, to_right, stride * 4);
  if (TWO) {
    _tile_stored(2, to_left + 16 * stride, stride * 4);
    _tile_stored(3, to_right + 16 * stride, stride * 4);
  }
}

#endif

#ifdef PACKED
// `rows` (at most 32) rows of a [., K] times two packed column blocks.
void product(int64_t rows, const uint16_t* a, int64_t K, const uint16_t* left, const uint16_t* right, float* to_left, float* to_right,
             int64_t stride) {
#ifdef TILES
  if (tiles_allowed()) return (rows > 16 ? tiles<true> : tiles<false>)(a, K, left, right, to_left, to_right, stride);
#endif
  int64_t i = 0;
  for (; i + 8 <= rows; i += 8) vectors<8>(a + i * K, K, left, right, to_left + i * stride, to_right + i * stride, stride);
  for (; i < rows; ++i) vectors<1>(a + i * K, K, left, right, to_left + i * stride, to_right + i * stride, stride);
}

// Calls `work(first row, rows)` for blocks of at most 32 of the rows [from, to), with the tiles shaped for each.
template <typename F>
void row_blocks(int64_t from, int64_t to, F work) {
  for (int64_t m = from; m < to; m += 32) {
    const int64_t rows = std::min<int64_t>(32, to - m);
#ifdef TILES
    if (tiles_allowed()) shape_tiles(std::min<int64_t>(16, rows), rows - 16);
#endif
    work(m, rows);
  }
}

void release_tiles() {
#ifdef TILES
  if (tiles_allowed()) _tile_release();
#endif
}

void packed_forward(const BFloat16* z, const uint16_t* packed, const uint16_t* h0, uint16_t* h, uint16_t* act, float* c, int64_t T, int64_t B,
                   int64_t H, int64_t from, int64_t to) {
  std::vector<float> sums(32 * 4 * H);
  const int64_t column = H * LANES;  // values of a packed column block
  for (int64_t t = 0; t < T; ++t) {
    const uint16_t* previous = t ? h + (t - 1) * B * H : h0;
    row_blocks(from, to, [&](int64_t m, int64_t rows) {
      for (int64_t j = 0; j < 4 * H; j += 2 * LANES) {
        const uint16_t* left = packed + j / LANES * column;
        product(rows, previous + m * H, H, left, left + column, sums.data() + j, sums.data() + j + LANES, 4 * H);
      }
      const int64_t row = t * B + m;
      gates_forward(z + row * 4 * H, sums.data(), c + row * H, act + row * 4 * H, c + (row + B) * H, h + row * H, rows, H);
    });
  }
  release_tiles();
}

// carried [B, H] f32 = dz [B, 4H] times w.
void packed_carry(const uint16_t* dz, const uint16_t* packed, float* carried, int64_t H, int64_t from, int64_t to) {
  const int64_t column = 4 * H * LANES;
  row_blocks(from, to, [&](int64_t m, int64_t rows) {
    for (int64_t j = 0; j < H / LANES; j += 2) {
      float* out = carried + m * H + j * LANES;
      product(rows, dz + m * 4 * H, 4 * H, packed + j * column, packed + (j + 1) * column, out, out + LANES, H);
    }
  });
}
#endif

bool use_packed(int64_t H) {
#ifdef PACKED
  return H % 32 == 0;
#else
  return false;
#endif
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
  if (use_packed(H)) {
#ifdef PACKED
    const auto packed = pack(raw(w), H, 4 * H);
    at::parallel_for(0, B, 16, [&](int64_t from, int64_t to) {
      packed_forward(z.data_ptr<BFloat16>(), packed.data(), raw(h0), raw(h), raw(act), c.data_ptr<float>(), T, B, H, from, to);
    });
#endif
    return {h, act, c};
  }
  auto sum = at::empty({B, 4 * H}, z.options());
  at::Tensor previous = h0;
  for (int64_t t = 0; t < T; ++t) {
    at::addmm_out(sum, z[t], previous, w);
    gates_forward(sum.data_ptr<BFloat16>(), nullptr, c[t].data_ptr<float>(), raw(act[t]), c[t + 1].data_ptr<float>(), raw(h[t]), B, H);
    previous = h[t];
  }
  return {h, act, c};
}

// grad [T, B, H] bf16; w [4H, H] bf16 -> dz [T, B, 4H] bf16, dh0 [B, H] f32, dc0 [B, H] f32.
std::vector<at::Tensor> backward(at::Tensor grad, at::Tensor act, at::Tensor c, at::Tensor w) {
  const int64_t T = grad.size(0), B = grad.size(1), H = grad.size(2);
  auto dz = at::empty_like(act);
  auto dc = at::zeros({B, H}, c.options());
  auto carried = at::zeros({B, H}, c.options());
  const float* cells = c.data_ptr<float>();
  auto gates = [&](int64_t t, int64_t from, int64_t to) {
    gates_backward(grad.data_ptr<BFloat16>() + t * B * H, carried.data_ptr<float>(), act.data_ptr<BFloat16>() + t * B * 4 * H, cells + t * B * H,
                   cells + (t + 1) * B * H, dc.data_ptr<float>(), raw(dz) + t * B * 4 * H, from, to, H);
  };
  if (use_packed(H)) {
#ifdef PACKED
    const auto packed = pack(raw(w), 4 * H, H);
    at::parallel_for(0, B, 16, [&](int64_t from, int64_t to) {
      for (int64_t t = T - 1; t >= 0; --t) {
        gates(t, from, to);
        packed_carry(raw(dz) + t * B * 4 * H, packed.data(), carried.data_ptr<float>(), H, from, to);
      }
      release_tiles();
    });
#endif
    return {dz, carried, dc};
  }
  auto product = at::empty({B, H}, grad.options());
  for (int64_t t = T - 1; t >= 0; --t) {
    gates(t, 0, B);
    at::mm_out(product, dz[t], w);
    carried.copy_(product);
  }
  return {dz, carried, dc};
}

// dz [N, 4H] bf16 -> its transpose [4H, N] and the sum over N in f32: products with the transpose are twice as fast as with a view of dz.
std::vector<at::Tensor> transpose(at::Tensor dz) {
  const int64_t N = dz.size(0), W = dz.size(1);
  constexpr int64_t SIDE = 128;
  auto out = at::empty({W, N}, dz.options());
  auto sum = at::zeros({W}, dz.options().dtype(at::kFloat));
  const BFloat16* from = dz.data_ptr<BFloat16>();
  uint16_t* to = raw(out);
  float* total = sum.data_ptr<float>();
  at::parallel_for(0, W, 256, [&](int64_t first, int64_t last) {
    constexpr int64_t STRIDE = SIDE / 4 + 1;  // odd: keeps columns apart in the cache
    const int64_t width = last - first;
    std::vector<uint64_t> block(width * STRIDE), four(width);
    for (int64_t n0 = 0; n0 < N; n0 += SIDE) {
      const int64_t height = std::min(SIDE, N - n0);
      for (int64_t n = 0; n < height; n += 4) {
        const BFloat16* row[4];
        for (int64_t i = 0; i < 4; ++i) row[i] = from + std::min(n0 + n + i, N - 1) * W + first;
#pragma omp simd
        for (int64_t w = 0; w < width; ++w)
          four[w] = row[0][w].x | uint64_t{row[1][w].x} << 16 | uint64_t{row[2][w].x} << 32 | uint64_t{row[3][w].x} << 48;
        for (int64_t w = 0; w < width; ++w) block[w * STRIDE + n / 4] = four[w];
        for (int64_t i = 0; i < std::min<int64_t>(4, height - n); ++i)
#pragma omp simd
          for (int64_t w = 0; w < width; ++w) total[first + w] += widen(row[i][w]);
      }
      for (int64_t w = 0; w < width; ++w) std::memcpy(to + (first + w) * N + n0, &block[w * STRIDE], height * sizeof(uint16_t));
    }
  });
  return {out, sum};
}

PYBIND11_MODULE(TORCH_EXTENSION_NAME, m) {
  m.def("forward", &forward);
  m.def("backward", &backward);
  m.def("transpose", &transpose);
}
