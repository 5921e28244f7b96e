"""What a published model would do on a machine: from `headrace plan --json` of its shape, and the hit rates of replayed choices."""

GIB = 1 << 30

PAGE = """# What to expect

Expected speeds of well-known models, by the memory and the disk of your machine.

**Every row is a prediction, unless its last column says that it was measured.** `headrace plan` predicts for your own
machine and file, in seconds, without loading anything:

    headrace plan model.gguf --ram 16G

## Tokens per second

{table}

- **Memory** is the machine's. The system and other programs are assumed to use {system:g} GB, and headrace gets nine
  tenths of the rest: {budgets}.
- **Decode** is the speed while the model answers, from a cautious to a likely figure. For dense models the range goes
  from three quarters of what disk and memory allow to all of it. For mixtures of experts both figures depend on which
  experts the model chooses.
  The cautious figure assumes the choices of a trained mixture that was balanced over many kinds of text
  ([traces](experts-policy.md#a-trained-mixture)), and takes three quarters of the speed. The likely figure assumes the
  choices of published traces ([the less favourable of two kinds](experts-policy.md#hit-rates)) and counts what the
  cache keeps of them.
- **Prompt** is the speed for a prompt of {prompt} tokens. Each weight that is read serves hundreds of tokens, so nearly
  everywhere the processor is the limit, not the disk.
- **fits** means that nothing streams: the model runs as in llama.cpp alone.

## What is assumed

- The processor has 8 cores, multiplies {gflops:g} GFLOP/s in prompts, and reads weights at {memory:g} GB/s. The figures
  for models that fit depend on this alone.
- The disks give {disks} GB/s in large reads: an NVMe drive of PCIe 3 and one of PCIe 4. `headrace doctor` measures
  yours.
- The context has 4096 tokens. There is no graphics card, and there are no drafts; both make most of these figures
  better ([README](../README.md)).
- The types of weights are those that people load: Q4_K_M, as `llama-quantize` makes it, and MXFP4 as OpenAI published
  it. The shapes are exact: the number of parameters is the published one to the last parameter, and each tensor has the
  type that `llama-quantize` gives it (tests/engine/published_shapes_test.cpp).
- The prediction leaves out the time to start, other programs, a drive that gets hot, and losses between disk and
  processor. Measured so far: dense models reach 0.8 to 0.97 of the disk's limit. Mixtures whose experts are mostly in
  memory reach 0.5 to 0.9 of what llama.cpp does with everything in memory ([benchmarks](benchmarks.md)).

## How it was made

    make expect

`make expect` writes each shape as a sparse file (`headrace-make-model --preset gpt-oss-120b --sparse shape.gguf` takes
some megabytes of disk) and runs `headrace plan` for it. The measured rows are in
[bench/results/published.csv](../bench/results/published.csv). They were measured with a model of that shape with random
weights, which is as fast as a trained one.
"""


def interpolate(points, at):
    """Of (x, y) pairs by x, the y at x; the nearest one's beyond them."""
    before = None
    for x, y in points:
        if at <= x:
            if before is None or x == before[0]:
                return y
            return before[1] + (y - before[1]) * (at - before[0]) / (x - before[0])
        before = (x, y)
    return before[1]


def likely_decode(plan, hit_rates):
    """Tokens per second if experts are found in memory as often as replays say: the longer of disk and memory."""
    model, parts, machine = plan["model"], plan["plan"], plan["machine"]
    experts, token = model["expert_bytes"], model["active_expert_bytes"]
    missed = 0.0
    if experts > 0 and parts["expert_cache_bytes"] < experts:
        missed = 1 - interpolate(hit_rates, parts["expert_cache_bytes"] / experts)
    disk = (parts["streamed_bytes_per_pass"] + missed * token) / machine["disk_bytes_per_s"]
    memory = (parts["streamed_bytes_per_pass"] + parts["resident_bytes"] + token) / machine["memory_bytes_per_s"]
    return 1 / max(disk, memory)


def number(value):
    return f"{value:.2g}" if value < 10 else f"{value:.0f}"


def span(low, high):
    return number(low) if number(low) == number(high) else f"{number(low)} to {number(high)}"


def decode_cell(plan, hit_rates):
    prediction = plan["prediction"]
    if not plan["streams"]:
        return number(prediction["decode_tokens_per_s"])
    cautious = prediction["decode_tokens_per_s_range"][0]
    return span(cautious, max(cautious, likely_decode(plan, hit_rates)))


def prompt_cell(plans):
    """From the slowest disk to the fastest: mostly the processor's limit, and one number."""
    speeds = [plan["prediction"]["prompt_tokens_per_s"] for plan in plans]
    return span(min(speeds), max(speeds)) if all(speeds) else "unknown"


def measured_cell(rows, model, memory):
    """decode, prompt (disk) of each measured row."""
    cells = [f"{row['decode']} and {row['prompt']} at {row['disk_gb_s']} GB/s, {row['machine']}" for row in rows
             if row["model"] == model and int(row["memory_gb"]) == memory]
    return "; ".join(cells)


def table(results, disks, measured, hit_rates):
    """results: (about, preset, file bytes, {memory: {disk: plan or None}}), None where it does not work with so little."""
    head = ["model", "file", "memory", "in memory"]
    head += [f"decode, disk of {disk:g} GB/s" for disk in disks] + ["prompt", "measured: decode and prompt"]
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for about, preset, file_bytes, by_memory in results:
        for first, (memory, plans) in enumerate(by_memory.items()):
            cells = [about, f"{file_bytes / 1e9:.1f} GB"] if first == 0 else ["", ""]
            cells.append(f"{memory} GB")
            some = plans[disks[0]]
            if some is None:
                cells += ["too little"] + [""] * (len(disks) + 1)
            else:
                cells.append(share_in_memory(some))
                cells += [decode_cell(plans[disk], hit_rates) for disk in disks] + [prompt_cell([plans[disk] for disk in disks])]
            cells.append(measured_cell(measured, preset, memory))
            lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def share_in_memory(plan):
    if not plan["streams"]:
        return "fits"
    weights = plan["model"]["managed_bytes"] + plan["model"]["expert_bytes"]
    held = plan["plan"]["resident_bytes"] + plan["plan"]["expert_cache_bytes"]
    return f"{100 * held / weights:.0f} %"
