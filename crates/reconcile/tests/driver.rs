//! The driver on a world that a test changes by hand, under virtual time.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use client::{Client, ClientError, Feed, Lagged, Target, Write};
use futures::future::BoxFuture;
use futures::stream::BoxStream;
use futures::{FutureExt, StreamExt};
use object::names::resources::{PODS, REPLICA_SETS};
use object::time::TestClock;
use object::{Draft, Key, Object, Resource};
use reconcile::driver::Recorder;
use reconcile::{Controller, Cx, Driver, Metrics, Note, NoteType, Plan, PlanError, Wake};
use serde_json::{Value, json};
use tokio::sync::broadcast;
use tokio::time::Duration;
use world::{Commit, Event, World};

/// World, writes and notes of one test.
struct Lab {
    world: Mutex<World>,
    commits: broadcast::Sender<Arc<Commit>>,
    sent: Mutex<Vec<String>>,
    notes: Mutex<Vec<String>>,
    /// Answers 500 to paths that contain this.
    broken: Mutex<Option<&'static str>>,
}

impl Lab {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            world: Mutex::new(World::new(&[])),
            commits: broadcast::channel(64).0,
            sent: Mutex::default(),
            notes: Mutex::default(),
            broken: Mutex::default(),
        })
    }

    fn put(&self, resource: Resource, value: Value) {
        let mut world = self.world.lock().unwrap();
        let revision = world.revision() + 1;
        let draft = Draft::new(resource, &value, |_| Box::default()).unwrap();
        let object: Arc<Object> = Arc::new(draft.seal(revision));
        let old = world.get(&object.key()).cloned();
        let commit = Arc::new(Commit {
            revision,
            events: vec![Arc::new(Event::put(object, old))],
        });
        *world = world.apply(&commit);
        drop(world);
        let _nobody_listens = self.commits.send(commit);
    }

    fn take_sent(&self) -> Vec<String> {
        std::mem::take(&mut *self.sent.lock().unwrap())
    }
}

struct Handle(Arc<Lab>);

impl Feed for Handle {
    fn world(&self) -> World {
        self.0.world.lock().unwrap().clone()
    }

    fn commits(&self) -> BoxStream<'static, Result<Arc<Commit>, Lagged>> {
        let receiver = self.0.commits.subscribe();
        futures::stream::unfold(receiver, |mut receiver| async move {
            match receiver.recv().await {
                Ok(commit) => Some((Ok(commit), receiver)),
                Err(broadcast::error::RecvError::Lagged(_)) => Some((Err(Lagged), receiver)),
                Err(broadcast::error::RecvError::Closed) => None,
            }
        })
        .boxed()
    }
}

impl Client for Handle {
    fn call(
        &self,
        request: http::Request<Bytes>,
    ) -> BoxFuture<'_, Result<http::Response<Bytes>, ClientError>> {
        let path = request.uri().path().to_owned();
        self.0
            .sent
            .lock()
            .unwrap()
            .push(format!("{} {path}", request.method()));
        let broken = self
            .0
            .broken
            .lock()
            .unwrap()
            .is_some_and(|part| path.contains(part));
        let (code, body) = match broken {
            true => (
                500,
                json!({"kind":"Status","reason":"InternalError","message":"it broke","code":500}),
            ),
            false => (
                201,
                json!({"metadata":{"name":"made-1","resourceVersion":"1"}}),
            ),
        };
        let answer = http::Response::builder()
            .status(code)
            .body(body.to_string().into());
        async move { Ok(answer?) }.boxed()
    }
}

impl Recorder for Handle {
    fn record(&self, _controller: &'static str, note: Note) {
        self.0
            .notes
            .lock()
            .unwrap()
            .push(format!("{} {}", note.reason, note.message));
    }
}

/// Creates a pod for a set that owns none; asks to be woken in a minute.
fn plan(cx: &Cx, world: &World, key: &Key) -> Result<Plan, PlanError> {
    let Some(set) = world.get(key) else {
        return Ok(Plan::done());
    };
    assert_ne!(set.meta().name, "poison", "a plan that panics");
    let mut plan = Plan::done();
    if world.owned(PODS, &set.meta().uid).next().is_none() {
        plan.write(Write::create(
            Target::collection(PODS, "v1", &set.meta().namespace),
            json!({}),
        ))
        .on_success(Note::new(
            set,
            NoteType::Normal,
            "Made",
            "Created pod: {name}",
        ))
        .on_failure(Note::new(
            set,
            NoteType::Warning,
            "Failed",
            "Error creating: {error}",
        ));
    }
    plan.requeue_at(cx.now.checked_add(jiff::Span::new().seconds(60)).ok());
    Ok(plan)
}

const CONTROLLER: Controller = Controller {
    name: "test",
    account: "test",
    reconciles: REPLICA_SETS,
    wakes_on: &[Wake::Owned(PODS)],
    plan,
};

fn start(lab: &Arc<Lab>) -> tokio::task::JoinHandle<()> {
    let handle = Arc::new(Handle(Arc::clone(lab)));
    let client: Arc<dyn Client> = handle.clone();
    let driver = Driver {
        client: Arc::new(move |_| Arc::clone(&client)),
        feed: handle.clone(),
        recorder: handle,
        clock: TestClock::at(1000),
        random: Arc::new(|| 4),
        metrics: Metrics::default(),
    };
    tokio::spawn(driver.run(CONTROLLER))
}

fn set(name: &str) -> Value {
    json!({"apiVersion":"apps/v1","kind":"ReplicaSet","metadata":{"name":name,"namespace":"n","uid":format!("u-{name}")}})
}

fn pod(owner: &str) -> Value {
    json!({"apiVersion":"v1","kind":"Pod","metadata":{"name":"p","namespace":"n","ownerReferences":[
        {"apiVersion":"apps/v1","kind":"ReplicaSet","name":owner,"uid":format!("u-{owner}"),"controller":true}]}})
}

async fn settle() {
    tokio::time::sleep(Duration::from_millis(1)).await;
}

#[tokio::test(start_paused = true)]
async fn a_key_is_planned_for_itself_for_what_it_owns_and_on_its_deadline() {
    let lab = Lab::new();
    lab.put(REPLICA_SETS, set("a"));
    let _running = start(&lab);
    settle().await;
    assert_eq!(
        lab.take_sent(),
        ["POST /api/v1/namespaces/n/pods"],
        "what existed before the start"
    );
    assert_eq!(*lab.notes.lock().unwrap(), ["Made Created pod: made-1"]);

    lab.put(PODS, pod("a"));
    settle().await;
    assert_eq!(lab.take_sent(), Vec::<String>::new(), "woken, and content");

    lab.put(
        PODS,
        json!({"apiVersion":"v1","kind":"Pod","metadata":{"name":"p","namespace":"n"}}),
    );
    settle().await;
    assert_eq!(
        lab.take_sent().len(),
        1,
        "the pod was cut loose: the old state wakes its owner"
    );

    tokio::time::sleep(Duration::from_secs(61)).await;
    assert_eq!(lab.take_sent().len(), 1, "the deadline it asked for");
}

#[tokio::test(start_paused = true)]
async fn failures_and_panics_of_one_key_delay_no_other() {
    let lab = Lab::new();
    let _running = start(&lab);
    lab.put(REPLICA_SETS, set("poison"));
    settle().await;
    lab.put(REPLICA_SETS, set("b"));
    settle().await;
    assert_eq!(lab.take_sent().len(), 1, "b is planned");

    *lab.broken.lock().unwrap() = Some("pods");
    lab.put(REPLICA_SETS, set("c"));
    settle().await;
    assert_eq!(
        lab.notes.lock().unwrap().last().unwrap(),
        "Failed Error creating: it broke"
    );
    *lab.broken.lock().unwrap() = None;
    lab.take_sent();
    tokio::time::sleep(Duration::from_millis(20)).await;
    assert_eq!(
        lab.take_sent().len(),
        1,
        "c is tried again after its back-off"
    );
}
