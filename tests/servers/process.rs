//! One server program: its process, its ports, its folder.
use std::{
    fs::{self, File},
    io::Write as _,
    net::TcpListener,
    os::unix::{fs::PermissionsExt as _, process::CommandExt as _},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, Stdio},
    sync::{Mutex, OnceLock, PoisonError, mpsc},
};

/// Below the ports that the system gives to outgoing connections, so that none of those takes one before its server does.
const PORTS: std::ops::Range<u16> = 20_000..32_000;

/// A server program with its folder. Dropping it kills the program and deletes the folder.
pub struct Process {
    name: &'static str,
    folder: PathBuf,
    ports: Vec<u16>,
    command: Box<dyn Fn() -> Command + Send + Sync>,
    child: Mutex<Child>,
}

impl Process {
    /// Starts a server on `N` free ports in an empty folder. `prepare` makes its command, `ready` waits until it answers. A port
    /// may be taken by somebody else in between: then it is tried again with others.
    pub fn start<const N: usize>(
        name: &'static str,
        prepare: impl Fn(&Path, [u16; N]) -> Box<dyn Fn() -> Command + Send + Sync>,
        ready: impl Fn(&Self) -> Result<(), String>,
    ) -> Self {
        let mut last = String::new();
        for _ in 0..4 {
            let ports = free_ports::<N>();
            let folder = new_folder(name);
            let command = prepare(&folder, ports);
            let child = Mutex::new(spawn(command(), &folder, name));
            let server = Self { name, folder, ports: ports.to_vec(), command, child };
            match ready(&server) {
                Ok(()) => return server,
                Err(error) => last = error,
            }
        }
        panic!("{name} does not start: {last}");
    }

    /// The first port.
    pub fn port(&self) -> u16 {
        self.ports[0]
    }

    /// The folder of everything the server keeps.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Whether the program runs; otherwise what it said last.
    pub fn alive(&self) -> Result<(), String> {
        match self.child().try_wait().unwrap() {
            None => Ok(()),
            Some(status) => {
                let said = fs::read_to_string(self.folder.join("output")).unwrap_or_default();
                let tail: Vec<&str> = said.lines().rev().take(12).collect();
                Err(format!(
                    "{} ended ({status}): {}",
                    self.name,
                    tail.into_iter().rev().collect::<Vec<_>>().join("\n")
                ))
            }
        }
    }

    /// SIGKILL, and waits for the end. Does nothing to one that has ended.
    pub fn kill(&self) {
        let mut child = self.child();
        let _ = child.kill();
        child.wait().unwrap();
    }

    /// Starts it again after [`kill`](Self::kill), with the same ports and data. Does not wait until it answers.
    pub fn spawn_again(&self) {
        *self.child() = spawn((self.command)(), &self.folder, self.name);
    }

    /// Stops it in its tracks: it keeps its connections and answers nothing.
    pub fn freeze(&self) {
        self.signal(libc::SIGSTOP);
    }

    /// Lets it go on.
    pub fn thaw(&self) {
        self.signal(libc::SIGCONT);
    }

    fn signal(&self, signal: i32) {
        let pid = self.child().id();
        // SAFETY: kill takes no pointers; the child has not been waited for while `self.child` holds it, so the id is its own.
        let done = unsafe { libc::kill(pid.cast_signed(), signal) };
        assert_eq!(done, 0, "{} cannot be signalled", self.name);
    }

    fn child(&self) -> std::sync::MutexGuard<'_, Child> {
        self.child.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
        let _ = fs::remove_dir_all(&self.folder); // else it goes with the process
    }
}

/// A program that `make setup` puts into `.vigia/servers`.
pub fn installed(name: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(".vigia/servers").join(name);
    assert!(path.is_file(), "{} is not there: run `make setup`", path.display());
    path
}

/// N ports on which nobody listens, all different.
fn free_ports<const N: usize>() -> [u16; N] {
    let mut held: Vec<TcpListener> = Vec::new();
    while held.len() < N {
        let random = uuid::Uuid::new_v4().as_u128() as u16;
        let port = PORTS.start + random % (PORTS.end - PORTS.start);
        held.extend(TcpListener::bind(("127.0.0.1", port)));
    }
    std::array::from_fn(|i| held[i].local_addr().unwrap().port())
}

/// An empty folder in the one of this process, which goes when this process has ended, in whatever way.
fn new_folder(name: &str) -> PathBuf {
    let folder = watched().0.join(format!("{name}-{}", super::fresh_name()));
    fs::create_dir(&folder).unwrap();
    folder
}

/// Has the files of this shell pattern (without spaces) deleted when this process has ended.
pub fn delete_at_the_end(pattern: &str) {
    let mut paths = watched().1.lock().unwrap_or_else(PoisonError::into_inner);
    writeln!(paths, "{pattern}").unwrap();
}

/// The folder of this process, and the input of the watcher who deletes it.
#[expect(clippy::zombie_processes, reason = "the watcher outlives this process")]
fn watched() -> &'static (PathBuf, Mutex<ChildStdin>) {
    static WATCHED: OnceLock<(PathBuf, Mutex<ChildStdin>)> = OnceLock::new();
    WATCHED.get_or_init(|| {
        let id = uuid::Uuid::new_v4().simple().to_string();
        let path = std::env::temp_dir().join(format!("vigia-servers-{}", &id[..12]));
        fs::create_dir(&path).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o711)).unwrap(); // a server may run as another user
        // The end of its input is the end of this process. PostgreSQL's helpers may still be at work for a moment.
        let mut watcher = Command::new("sh")
            .args(["-c", "more=$(cat); for i in 1 2 3 4 5; do rm -rf \"$1\" $more && exit; sleep 0.2; done", "watcher"])
            .arg(&path)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0) // Ctrl-C is not for it
            .spawn()
            .unwrap();
        let input = watcher.stdin.take().unwrap();
        (path, Mutex::new(input))
    })
}

type Request = (Command, mpsc::Sender<std::io::Result<Child>>);

/// Spawns `command` so that it dies with this process. The kernel ties that to the *thread* that spawns, and the threads of tests
/// end early, so one thread that never ends does all the spawning.
fn spawn(mut command: Command, folder: &Path, name: &str) -> Child {
    static SPAWNER: OnceLock<Mutex<mpsc::Sender<Request>>> = OnceLock::new();
    let spawner = SPAWNER.get_or_init(|| {
        let (sender, requests) = mpsc::channel::<Request>();
        std::thread::spawn(move || {
            for (mut command, answer) in requests {
                let _ = answer.send(command.spawn());
            }
        });
        Mutex::new(sender)
    });
    let output = File::options().create(true).append(true).open(folder.join("output")).unwrap();
    command.current_dir(folder).process_group(0);
    command.stdin(Stdio::null()).stdout(output.try_clone().unwrap()).stderr(output);
    // SAFETY: the closure runs in the child between fork and exec, after the change of user (which would undo it), and makes one
    // system call.
    unsafe {
        command.pre_exec(|| match libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) {
            0 => Ok(()),
            _ => Err(std::io::Error::last_os_error()),
        });
    }
    let (answer, child) = mpsc::channel();
    spawner.lock().unwrap_or_else(PoisonError::into_inner).send((command, answer)).unwrap();
    child.recv().unwrap().unwrap_or_else(|e| panic!("{name} is not there ({e}): run `make setup`"))
}
