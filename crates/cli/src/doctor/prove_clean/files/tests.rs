use super::*;

fn made(home: &Path, name: &str) {
    let path = home.join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, name).unwrap();
}

fn places(home: &Path) -> [Place; 1] {
    [Place {
        path: home.to_owned(),
        is_codexs: true,
    }]
}

#[test]
fn many_sessions_keep_no_file_of_the_users_from_being_read() {
    let home = tempfile::tempdir().unwrap();
    for index in 0..20 {
        made(home.path(), &format!("sessions/{index}.jsonl"));
    }
    made(home.path(), "config.toml");
    made(home.path(), "prompts/a.md");
    let tree = Tree::read_within(&places(home.path()), 10);
    assert_eq!(tree.of_users(), 2);
    assert!(tree.skipped().iter().all(|skipped| !skipped.is_users));
    assert!(!tree.skipped().is_empty());
    for index in 0..20 {
        made(home.path(), &format!("prompts/{index}.md"));
    }
    let tree = Tree::read_within(&places(home.path()), 10);
    assert!(tree.skipped().iter().any(|skipped| skipped.is_users));
}

#[test]
fn folders_have_modes_too() {
    let home = tempfile::tempdir().unwrap();
    made(home.path(), "prompts/a.md");
    let before = Tree::read(&places(home.path()));
    let folder = home.path().join("prompts");
    std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o750)).unwrap();
    made(home.path(), "sessions/1.jsonl");
    made(home.path(), "skills/.system/a.md");
    let changes = before.changes(&Tree::read(&places(home.path())));
    let users: Vec<_> = changes.iter().filter(|change| !change.is_codexs).collect();
    assert_eq!(users.len(), 1);
    assert_eq!(
        (&users[0].path, users[0].how),
        (&folder, "got another mode")
    );
}
