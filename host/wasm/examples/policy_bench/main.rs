//! What a policy call costs:
//! `cargo run --release -p baton-wasm --example policy_bench [-- PLUGIN]`.
//!
//! Each call is what a decision pays: conversion of the question, a fresh instance, `configure`,
//! the question, the check of the answer.

mod fleet;

use std::error::Error;
use std::time::{Duration, Instant};

use baton_ports::{Policies, Selectors};
use baton_wasm::{
    DEFAULT_POLICY, DEFAULT_SELECTOR, PolicyChoice, WasmPolicies, WasmSelectors, record,
};

use fleet::Detail;

/// Calls before measuring, so that the pool's slots have been touched.
const WARM_UP: usize = 50;

fn main() -> Result<(), Box<dyn Error>> {
    let plugin = std::env::args()
        .nth(1)
        .unwrap_or_else(|| DEFAULT_POLICY.to_owned());
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    let begun = Instant::now();
    let policies = WasmPolicies::start(&PolicyChoice::of(&plugin))?;
    println!("machine   {}", machine());
    println!("policy    {}", policies.describe());
    println!(
        "start     {:?} (engine, compilation, self-check)",
        begun.elapsed()
    );
    println!();
    println!(
        "question                      servers    runs        p50        p99        max       fuel"
    );
    let lean = Detail {
        peers: 0,
        semi_sync_and_vitals: false,
    };
    let full = Detail {
        peers: 2,
        semi_sync_and_vitals: true,
    };
    for (name, detail) in [("one node", lean), ("3 nodes, semi-sync, vitals", full)] {
        for (servers, runs) in [(10, 5_000), (1_000, 500)] {
            let assess = fleet::assess_question(servers, detail);
            let fuel =
                record::replay(&policies.current(), &record::assess_question_json(&assess)?)?.fuel;
            let times = measure(runs, || {
                let reply = runtime.block_on(policies.assess(&assess));
                assert!(reply.fallback.is_none(), "{:?}", reply.fallback);
            });
            print(&format!("assess, {name}"), servers, &times, fuel);
            let rank = fleet::rank_question(servers, detail);
            let fuel =
                record::replay(&policies.current(), &record::rank_question_json(&rank)?)?.fuel;
            let times = measure(runs, || {
                let reply = runtime.block_on(policies.rank(&rank));
                assert!(reply.fallback.is_none(), "{:?}", reply.fallback);
            });
            print(&format!("rank, {name}"), servers, &times, fuel);
        }
    }
    let selectors = WasmSelectors::beside(&policies, &PolicyChoice::of(DEFAULT_SELECTOR))?;
    for nodes in [3, 10] {
        let select = fleet::select_question(nodes);
        let recorded = record::select_question_json(&select)?;
        let fuel = record::replay(&selectors.current(), &recorded)?.fuel;
        let times = measure(5_000, || {
            let reply = runtime.block_on(selectors.select(&select));
            assert!(reply.fallback.is_none(), "{:?}", reply.fallback);
        });
        print("select, backend-first", nodes, &times, fuel);
    }
    Ok(())
}

fn measure(runs: usize, mut call: impl FnMut()) -> Vec<Duration> {
    (0..WARM_UP).for_each(|_| call());
    let timed = |_| {
        let begun = Instant::now();
        call();
        begun.elapsed()
    };
    let mut times: Vec<Duration> = (0..runs).map(timed).collect();
    times.sort();
    times
}

fn print(question: &str, servers: u32, times: &[Duration], fuel: u64) {
    let at = |part: usize| {
        times
            .get((times.len() * part / 1000).min(times.len() - 1))
            .copied()
    };
    let show = |time: Option<Duration>| {
        let micros = time.unwrap_or_default().as_secs_f64() * 1e6;
        if micros < 1000.0 {
            format!("{micros:.0} µs")
        } else {
            format!("{:.2} ms", micros / 1000.0)
        }
    };
    println!(
        "{question:<34} {servers:>5} {:>7} {:>10} {:>10} {:>10} {fuel:>10}",
        times.len(),
        show(at(500)),
        show(at(990)),
        show(times.last().copied()),
    );
}

fn machine() -> String {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let cpuinfo = read("/proc/cpuinfo");
    let model = cpuinfo
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split(": ").nth(1));
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let load = read("/proc/loadavg");
    let load = load.split(' ').next().unwrap_or("unknown");
    format!(
        "{}, {cores} cores, load average {load}",
        model.unwrap_or(std::env::consts::ARCH)
    )
}
