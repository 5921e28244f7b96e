"""A small mixture of experts as published ones are built, for train.py: functions on dictionaries of weights."""

import math
from types import SimpleNamespace

import torch
import torch.nn.functional as F


# Rows in groups: group g times the g-th matrix.

def grouped_by_loop(rows, matrices, counts):
    return torch.cat([part @ matrix for part, matrix in zip(rows.split(counts.tolist()), matrices)])


def grouped_by_library(rows, matrices, counts):
    multiply = torch._grouped_mm if hasattr(torch, "_grouped_mm") else F.grouped_mm
    return multiply(rows, matrices, offs=counts.cumsum(0).to(torch.int32))


def choose_grouped(device, dtype):
    """The library's product if it works here and gives what a loop gives, with its gradients."""
    if device.type != "cuda":
        return grouped_by_loop
    counts = torch.tensor([5, 0, 100, 23, 1, 64, 7, 56], device=device)
    results = []
    try:
        for product in (grouped_by_loop, grouped_by_library):
            torch.manual_seed(0)
            rows = torch.randn(256, 128, device=device, dtype=dtype).requires_grad_()
            weights = torch.randn(8, 64, 128, device=device, dtype=dtype).requires_grad_()
            out = product(rows, weights.transpose(-2, -1), counts)
            out.backward(torch.randn_like(out))
            results.append((out, rows.grad, weights.grad))
        for ours, theirs in zip(*results):
            error = float((ours - theirs).float().norm() / ours.float().norm())
            if not error < 0.02:
                raise ValueError(f"an error of {error}")
    except Exception as problem:
        print(f"the library's grouped product cannot be used ({problem}): a loop is", flush=True)
        return grouped_by_loop
    return grouped_by_library


class Permute(torch.autograd.Function):
    """Rows in another order. The gradient goes back by the inverse order, without atomic additions."""

    @staticmethod
    def forward(ctx, rows, order, inverse):
        ctx.save_for_backward(inverse)
        return rows[order]

    @staticmethod
    def backward(ctx, gradient):
        return gradient[ctx.saved_tensors[0]], None, None


def make_model(shape, device):
    def weight(*size, deviation=0.02):
        return (torch.randn(*size, device=device) * deviation).requires_grad_()

    def ones(*size):
        return torch.ones(*size, device=device).requires_grad_()

    small = 0.02 / math.sqrt(2 * shape.layers)
    layers = [{
        "attention_norm": ones(shape.width),
        "qkv": weight(3 * shape.width, shape.width),
        "attention_out": weight(shape.width, shape.width, deviation=small),
        "norm": ones(shape.width),
        "router": weight(shape.experts, shape.width),
        "gate_up": weight(shape.experts, 2 * shape.expert_width, shape.width),
        "down": weight(shape.experts, shape.width, shape.expert_width, deviation=small),
    } for _ in range(shape.layers)]
    angles = torch.arange(shape.context, device=device)[:, None] / 10000 ** (torch.arange(0, shape.head, 2, device=device) / shape.head)
    return SimpleNamespace(embedding=weight(shape.vocabulary, shape.width), layers=layers, norm=ones(shape.width),
                           head=weight(shape.vocabulary, shape.width), cos=angles.cos(), sin=angles.sin(),
                           bias=torch.zeros(shape.layers, shape.experts, device=device))


def parameters(model):
    return [model.embedding, model.norm, model.head] + [weight for layer in model.layers for weight in layer.values()]


def rms(x, weight=None):
    wide = x.float()
    wide = wide * torch.rsqrt(wide.square().mean(-1, keepdim=True) + 1e-6)
    return (wide if weight is None else wide * weight).to(x.dtype)


def rotate(x, cos, sin):
    first, second = x.float().chunk(2, dim=-1)
    return torch.cat([first * cos - second * sin, second * cos + first * sin], dim=-1).to(x.dtype)


def route(hidden, router, bias, used):
    """The experts of each row and their weights. The bias takes part in the choice alone."""
    scores = torch.sigmoid(F.linear(hidden.float(), router))
    chosen = torch.topk(scores.detach() + bias, used, dim=-1).indices
    weights = scores.gather(-1, chosen)
    return chosen, weights / weights.sum(-1, keepdim=True)


def make_layer(shape, grouped):
    """A function of one layer: (x, weights, bias, cos, sin) -> x, the router's input, chosen experts, weights, uses of each expert."""
    def mix(hidden, layer, chosen, weights):
        flat = chosen.reshape(-1)
        order = torch.argsort(flat.to(torch.int16), stable=True)
        inverse = torch.empty_like(order).scatter_(0, order, torch.arange(order.numel(), device=order.device))
        counts = torch.zeros(shape.experts, device=flat.device, dtype=torch.int64).scatter_add_(0, flat, torch.ones_like(flat))
        rows = hidden[:, None, :].expand(-1, shape.used, -1).reshape(-1, shape.width)
        rows = Permute.apply(rows, order, inverse)
        gate, up = grouped(rows, layer["gate_up"].to(rows.dtype).transpose(-2, -1), counts).chunk(2, dim=-1)
        out = grouped((F.silu(gate) * up).contiguous(), layer["down"].to(rows.dtype).transpose(-2, -1), counts)
        out = Permute.apply(out, inverse, order).view(-1, shape.used, shape.width)
        return (out.float() * weights[..., None]).sum(1).to(hidden.dtype), counts

    def run(x, layer, bias, cos, sin):
        batch, length, _ = x.shape
        normed = rms(x, layer["attention_norm"])
        qkv = F.linear(normed, layer["qkv"].to(x.dtype)).view(batch, length, 3, shape.heads, shape.head).permute(2, 0, 3, 1, 4)
        q, k, v = rotate(rms(qkv[0]), cos, sin), rotate(rms(qkv[1]), cos, sin), qkv[2]
        seen = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + F.linear(seen.transpose(1, 2).reshape(batch, length, shape.width), layer["attention_out"].to(x.dtype))
        hidden = rms(x, layer["norm"]).view(-1, shape.width)
        chosen, weights = route(hidden, layer["router"], bias, shape.used)
        out, counts = mix(hidden, layer, chosen, weights)
        return x + out.view_as(x), hidden, chosen, weights, counts

    return run


def forward(model, tokens, run, dtype, look=None):
    """The last hidden states, and the uses of each layer's experts. `look` sees each layer's choices."""
    x = F.embedding(tokens, model.embedding).to(dtype)
    cos, sin = model.cos[:tokens.shape[1]], model.sin[:tokens.shape[1]]
    uses = []
    for number, layer in enumerate(model.layers):
        x, hidden, chosen, weights, counts = run(x, layer, model.bias[number], cos, sin)
        uses.append(counts)
        if look is not None:
            look(number, hidden, chosen, weights)
    return rms(x, model.norm), torch.stack(uses)


def loss_of(model, tokens, targets, run, dtype):
    x, uses = forward(model, tokens, run, dtype)
    logits = F.linear(x, model.head.to(dtype)).view(-1, model.head.shape[0])
    return F.cross_entropy(logits.float(), targets.reshape(-1)), uses
