//! How long decoding, canonicalising and printing a 2 KB pod takes, and reading
//! the table of types at start.

#![expect(missing_docs, reason = "made by the macros of criterion")]

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use schema::{canonical, decode, to_vec, types};

/// As in the binary.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const POD: &[u8] = include_bytes!("pod.json");

fn pod(c: &mut Criterion) {
    // The type's presence is tested.
    #[expect(clippy::unwrap_used, reason = "the type is in the table")]
    let node = types().get("core/v1.Pod").unwrap();
    c.bench_function("decode a 2 KB pod", |b| {
        b.iter(|| decode(node, black_box(POD)));
    });
    let Ok(decoded) = decode(node, POD) else {
        return;
    };
    c.bench_function("print a 2 KB pod", |b| {
        b.iter(|| to_vec(black_box(&decoded.value)));
    });
    c.bench_function("canonicalise a 2 KB pod", |b| {
        b.iter_batched(
            || decoded.value.clone(),
            |mut value| canonical(node, &mut value),
            criterion::BatchSize::SmallInput,
        );
    });
    c.bench_function("serde_json: read a 2 KB pod as a tree", |b| {
        b.iter(|| serde_json::from_slice::<serde_json::Value>(black_box(POD)));
    });
}

criterion_group!(benches, pod);
criterion_main!(benches);
