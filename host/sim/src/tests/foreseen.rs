//! What a dry run says is what the order then does.

use std::sync::{Arc, Mutex};

use baton_control::{ChangePrimary, Control, OrderForecast, OrderKind};
use baton_core::model::RecoveryOutcome;
use baton_ports::JournalStage;

use super::{end, quiet};

/// A forecast, and the texts of the steps that the order then began.
type Told = (OrderForecast, Vec<String>);

#[test]
fn a_switchover_does_what_its_dry_run_says() {
    let mut run = quiet();
    let told: Arc<Mutex<Option<Told>>> = Arc::default();
    let (node, handle) = run.actor().expect("a node acts");
    let teller = Arc::clone(&told);
    node.spawn(async move {
        let cluster = handle.clusters()[0].snapshot.cluster.id.clone();
        let order = OrderKind::Switchover { to: None };
        let forecast = handle.forecast(&cluster, order).await;
        let forecast = forecast.expect("it can be foreseen");
        let request = ChangePrimary {
            cluster,
            // The policy is asked anew, about newer readings.
            to: forecast.successor.clone(),
            accept_loss: None,
            by: "simulation".to_owned(),
            deadline: None,
        };
        let row = handle.switchover(request).await.expect("it succeeds");
        let (_, steps) = handle.recovery(&row.id).await.expect("it is recorded");
        let begun = steps.into_iter().map(|step| step.entry);
        let begun = begun.filter(|line| line.stage == JournalStage::Begun);
        let texts = begun.map(|line| line.text).collect();
        *teller.lock().expect("no panic") = Some((forecast, texts));
    });
    let is_told = || told.lock().expect("no panic").is_some();
    assert!(run.pass_until(30_000, |_| is_told()));
    let (forecast, mut done) = told.lock().expect("no panic").take().expect("it is told");
    assert_eq!(forecast.outcome, RecoveryOutcome::Succeeded);
    assert_eq!(forecast.problems, Vec::<String>::new());
    assert!(forecast.successor.is_some());
    // What is noted between plans (the policy's order, who takes over) is no step.
    let notes = ["ranks", "takes over"];
    let is_step = |text: &&String| !notes.iter().any(|note| text.contains(note));
    let steps = forecast.steps.iter().map(|step| &step.text);
    let mut foreseen: Vec<String> = steps.filter(is_step).cloned().collect();
    // Steps that wait for the same ones begin in any order.
    foreseen.sort();
    done.sort();
    assert_eq!(foreseen, done);
    end(run);
}
