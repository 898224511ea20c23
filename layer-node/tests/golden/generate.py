#!/usr/bin/env python3
"""Golden vectors for the layers and learning rules, in float64 NumPy, PyTorch layouts.

    python3 generate.py OUT.json [--seed N]

The formulas are the ones of `layer-node/src/rule/primitives.rs` (Kunin et al. 2020); they were checked against the authors' own code
(450 arrays, worst relative difference 3e-16) and are checked again here by central differences:
the script exits 1 on a mismatch.  Needs numpy only.

Layouts   dense  x (N, in)         W, B (out, in)              y = x Wᵀ + b
          conv   x (N, C, H, W)    W, B (out, in, kh, kw)    y = conv2d(x, W), stride s, padding p
B has W's shape everywhere, so backprop is `B = W`, and the error sent down is the adjoint of the
forward map taken at B:  dense  error · B,   conv  conv_transpose2d(error, B).
"""
import argparse, json, math, sys
import numpy as np

rng = None


def draw(*shape, scale=1.0):
    return scale * rng.standard_normal(shape)


class Dense:
    kind = "linear"

    def __init__(self, stride=None, padding=None):
        self.stride, self.padding = None, None

    def forward(self, x, w):
        return x @ w.T

    def adjoint(self, e, b, x_shape):
        return e @ b

    def filter_grad(self, x, e, w_shape):
        return e.T @ x


class Conv:
    kind = "conv2d"

    def __init__(self, stride, padding):
        self.stride, self.padding = stride, padding

    def _windows(self, x_shape, w_shape):
        (_, _, h, w), (_, _, kh, kw) = x_shape, w_shape
        s, p = self.stride, self.padding
        for i in range((h + 2 * p - kh) // s + 1):
            for j in range((w + 2 * p - kw) // s + 1):
                yield i, j, slice(i * s, i * s + kh), slice(j * s, j * s + kw)

    def _pad(self, x):
        p = self.padding
        return np.pad(x, ((0, 0), (0, 0), (p, p), (p, p)))

    def forward(self, x, w):
        s, p = self.stride, self.padding
        oh = (x.shape[2] + 2 * p - w.shape[2]) // s + 1
        ow = (x.shape[3] + 2 * p - w.shape[3]) // s + 1
        xp, y = self._pad(x), np.zeros((x.shape[0], w.shape[0], oh, ow))
        for i, j, hs, ws in self._windows(x.shape, w.shape):
            y[:, :, i, j] = np.tensordot(xp[:, :, hs, ws], w, axes=([1, 2, 3], [1, 2, 3]))
        return y

    def adjoint(self, e, b, x_shape):
        p = self.padding
        out = self._pad(np.zeros(x_shape))
        for i, j, hs, ws in self._windows(x_shape, b.shape):
            out[:, :, hs, ws] += np.tensordot(e[:, :, i, j], b, axes=([1], [0]))
        return out[:, :, p:out.shape[2] - p, p:out.shape[3] - p]

    def filter_grad(self, x, e, w_shape):
        xp, out = self._pad(x), np.zeros(w_shape)
        for i, j, hs, ws in self._windows(x.shape, w_shape):
            out += np.tensordot(e[:, :, i, j], xp[:, :, hs, ws], axes=([0], [0]))
        return out


def total(a):
    """Sum over features and positions of the batch mean."""
    return float(np.sum(np.mean(a, axis=0)))


# primitive -> (value, gradient w.r.t. B).  y = forward(x, W), z = forward(x, B), r = adjoint(y, B)
def decay(op, x, w, b):
    return float(np.sum(b ** 2)), 2.0 * b


def self_(op, x, w, b):
    return -float(np.sum(w * b)), -w.copy()


def amp(op, x, w, b):
    y, z = op.forward(x, w), op.forward(x, b)
    return -total(z * y), -op.filter_grad(x, y, b.shape) / len(x)


def sparse(op, x, w, b):
    z = op.forward(x, b)
    return total(z ** 2), 2.0 * op.filter_grad(x, z, b.shape) / len(x)


def null(op, x, w, b):
    y = op.forward(x, w)
    r = op.adjoint(y, b, x.shape)
    return total(r ** 2), 2.0 * op.filter_grad(r, y, b.shape) / len(x)


PRIMITIVES = {"decay": decay, "self": self_, "amp": amp, "sparse": sparse, "null": null}
RULES = {
    "feedback_alignment": {},
    "weight_mirror": {"amp": 1e-3, "decay": 1e-3},
    "information_alignment": {"amp": 2e-3, "null": 1e-3, "decay": 1e-3},
    "symmetric_alignment": {"self": 2e-3, "decay": 1e-3},
    "activation_alignment": {"amp": 2e-3, "sparse": 1e-3},
    "kolen_pollack": {"decay": 5e-5},          # plus W's own task gradient, see below
}


# The primitives that are sums over the positions of y.  With `per_position` they are means over them.
SUMS = ["amp", "sparse", "null"]


def positions(y):
    return int(np.prod(y.shape[2:]))


def check(name, op, x, w, b, f):
    _, g = f(op, x, w, b)
    h, worst = 1e-6, 0.0
    for k in np.ndindex(b.shape):
        hi, lo = b.copy(), b.copy()
        hi[k] += h
        lo[k] -= h
        d = (f(op, x, w, hi)[0] - f(op, x, w, lo)[0]) / (2 * h)
        worst = max(worst, abs(d - g[k]) / (1 + abs(g[k])))
    if worst > 5e-7:
        sys.exit(f"{name}: gradient differs from central differences by {worst}")


def nesterov(p, grads, lr, momentum):
    buf = np.zeros_like(p)
    for g in grads:
        buf = momentum * buf + g
        p = p - lr * (g + momentum * buf)
    return p


PRODUCT_LR, PRODUCT_MOMENTUM, PRODUCT_DECAY = 0.1, 0.9, 0.05


def flat(a):
    return a.reshape(len(a), -1)


def product(op, x, w, error, mid, r):
    """Product feedback alignment (arXiv 2405.20594): a fixed B (out, mid), applied at every position, and a trained R of mid
    rows.  Three updates, with the same x and the same error at y: W and R take Nesterov steps and decay alike."""
    if mid == len(w):
        b, upper = np.linalg.qr(r.standard_normal((mid, mid)))
        b = b * np.sign(np.diag(upper))
    else:
        b = r.standard_normal((len(w), mid)) / math.sqrt(mid)
    back = 0.5 * r.standard_normal((mid,) + w.shape[1:])
    middle = np.einsum("om,no...->nm...", b, error)
    grad_w = op.filter_grad(x, error, w.shape)
    grad_r = op.filter_grad(x, middle, back.shape)
    through = (b @ flat(back)).reshape(w.shape)
    # The error of the product, carried by the product in one piece, is the same.
    worst = np.abs(op.adjoint(middle, back, x.shape) - op.adjoint(error, through, x.shape)).max()
    # R's task gradient is Bᵀ times W's.
    worst = max(worst, np.abs(flat(grad_r) - b.T @ flat(grad_w)).max())
    if worst > 1e-12 * max(1.0, np.abs(grad_r).max()):
        sys.exit(f"product: B and R in two steps differ from their product by {worst}")

    def stepped(p, task):
        buf = np.zeros_like(p)
        for _ in range(3):
            g = task + PRODUCT_DECAY * p
            buf = PRODUCT_MOMENTUM * buf + g
            p = p - PRODUCT_LR * (g + PRODUCT_MOMENTUM * buf)
        return p

    w3, r3 = stepped(w, grad_w), stepped(back, grad_r)
    return {"mid": mid, "b": b.tolist(), "r": back.tolist(),
            "error_below": op.adjoint(middle, back, x.shape).tolist(),
            "grad_r": (grad_r + PRODUCT_DECAY * back).tolist(),
            "w_after_3_steps": w3.tolist(), "r_after_3_steps": r3.tolist(),
            "weight_angle_deg": angle(w, through),
            "output_angle_deg": angle(op.forward(x, w), op.forward(x, through)),
            "error_angle_deg": angle(op.adjoint(error, w, x.shape), op.adjoint(middle, back, x.shape)),
            "difference": float(np.linalg.norm(flat(back) - b.T @ flat(w))),
            "difference_after_3_steps": float(np.linalg.norm(flat(r3) - b.T @ flat(w3)))}


def angle(a, b):
    a, b = a.ravel(), b.ravel()
    c = float(a @ b / (np.linalg.norm(a) * np.linalg.norm(b)))
    return math.degrees(math.acos(max(-1.0, min(1.0, c))))


def shapes(seed):
    if seed == 0:      # the public set
        return [("linear", Dense(), (3, 4), (2, 4)), ("linear_wide", Dense(), (5, 3), (7, 3)),
                ("conv_3x3", Conv(1, 1), (2, 2, 5, 5), (3, 2, 3, 3)),
                ("conv_3x3_stride2", Conv(2, 1), (2, 2, 6, 5), (3, 2, 3, 3)),
                ("conv_1x1_stride2", Conv(2, 0), (2, 3, 5, 5), (2, 3, 1, 1)),
                ("conv_5x5_valid", Conv(1, 0), (2, 1, 6, 6), (2, 1, 5, 5))]
    r = np.random.default_rng(seed)
    out = []
    for i in range(4):
        n, a, b = r.integers(2, 7, 3)
        out.append((f"linear_{i}", Dense(), (n, a), (b, a)))
    for i in range(6):
        n, c, o = r.integers(1, 4, 3)
        k, s = int(r.integers(1, 5)), int(r.integers(1, 4))
        p = int(r.integers(0, k))
        h, w = r.integers(k + 2, k + 6, 2)
        out.append((f"conv_{i}", Conv(s, p), (n, c, h, w), (o, c, k, k)))
    return out


def main():
    global rng
    ap = argparse.ArgumentParser()
    ap.add_argument("out")
    ap.add_argument("--seed", type=int, default=0)
    a = ap.parse_args()
    rng = np.random.default_rng(1000 + a.seed)
    doc = {"seed": a.seed, "rules": RULES, "cases": []}
    for name, op, x_shape, w_shape in shapes(a.seed):
        x_shape, w_shape = tuple(map(int, x_shape)), tuple(map(int, w_shape))
        x, w, b = draw(*x_shape), draw(*w_shape, scale=0.5), draw(*w_shape, scale=0.5)
        y = op.forward(x, w)
        error = draw(*y.shape)
        grad_w = op.filter_grad(x, error, w.shape)
        case = {"name": name, "kind": op.kind, "stride": op.stride, "padding": op.padding,
                "x": x.tolist(), "w": w.tolist(), "b": b.tolist(), "y": y.tolist(),
                "error_above": error.tolist(),
                "error_below": op.adjoint(error, b, x.shape).tolist(),
                "error_below_backprop": op.adjoint(error, w, x.shape).tolist(),
                "grad_w": grad_w.tolist(), "weight_angle_deg": angle(w, b),
                "output_angle_deg": angle(y, op.forward(x, b)),
                "error_angle_deg": angle(op.adjoint(error, w, x.shape), op.adjoint(error, b, x.shape)),
                "primitives": {}, "rules": {}}
        for p, f in PRIMITIVES.items():
            check(f"{name}/{p}", op, x, w, b, f)
            v, g = f(op, x, w, b)
            case["primitives"][p] = {"value": v, "grad_b": g.tolist()}
        for r, coefficients in RULES.items():
            g = sum((c * PRIMITIVES[p](op, x, w, b)[1] for p, c in coefficients.items()), np.zeros_like(b))
            if r == "kolen_pollack":
                g = g + grad_w
            case["rules"][r] = {"grad_b": g.tolist(),
                                "b_after_3_nesterov_steps": nesterov(b, [g] * 3, 0.1, 0.9).tolist()}
        case["per_position"] = {
            r: sum((c / (positions(y) if p in SUMS else 1) * PRIMITIVES[p](op, x, w, b)[1]
                    for p, c in coefficients.items()), grad_w if r == "kolen_pollack" else np.zeros_like(b)).tolist()
            for r, coefficients in RULES.items()}
        # Numbers of their own, so that those of the other rules stay as they are in older files.
        own = np.random.default_rng([2000 + a.seed, len(doc["cases"])])
        mids = [len(w), 2 * len(w) + 1, max(1, len(w) // 2)]
        case["products"] = [product(op, x, w, error, mid, own) for mid in mids]
        doc["cases"].append(case)
    json.dump(doc, open(a.out, "w"))
    print(f"{len(doc['cases'])} cases -> {a.out}")


main()
