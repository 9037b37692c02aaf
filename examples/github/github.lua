-- GitHub: what people do in a repository, for customers whose users told them their GitHub account.
--
-- No field of GitHub's holds the customer's own id of anybody, so the identity store is asked who sender.id is, and what
-- strangers do is dropped (README.md says how the store gets to know people).

local source = require "moonweir.source"
local get = source.get

local function about(thing)
	return {
		repository = get "repository.full_name",
		number = get(thing .. ".number"),
		title = get(thing .. ".title"),
		url = get(thing .. ".html_url"),
		labels = get(thing .. ".labels"):map(get "name"),
	}
end

local issue = about "issue"
local pull_request = {
	about "pull_request",
	is_draft = get "pull_request.draft",
	commits = get "pull_request.commits",
	additions = get "pull_request.additions",
	deletions = get "pull_request.deletions",
}

local installation = {
	installation_id = get "installation.id":string(),
	app = get "installation.app_slug",
	account = get "installation.account.login",
	account_type = get "installation.account.type":lower(),
	repository_selection = get "installation.repository_selection",
}

local kind = get.header "X-GitHub-Event"

return source.define {
	slug = "github",
	version = "1.0.0",
	verify = source.verify.github { secret = source.secret "GITHUB_SECRET" },

	event = source.any(kind .. "." .. get "action", kind),
	id = get.header "X-GitHub-Delivery", -- the same when it is delivered again
	time = source.any(
		get "starred_at", get "comment.created_at", get "pull_request.updated_at", get "issue.updated_at",
		get "release.published_at", get "installation.updated_at"
	),
	user = source.user { tool_id = get "sender.id" },
	missing_user = "drop", -- anybody on GitHub can star a repository
	context = { githubId = get "sender.id":string(), githubLogin = get "sender.login" },

	on = {
		ping = source.ignore, -- a webhook was made

		-- Labels, assignees, milestones, locks … are the team's own housekeeping.
		["issues.*"] = source.ignore,
		["issue_comment.*"] = source.ignore, -- what was written is changed
		["pull_request.*"] = source.ignore,
		["release.*"] = source.ignore, -- a draft, or what was published is changed
		["installation.*"] = source.ignore, -- the app has other rights ...
		["installation_*"] = source.ignore, -- ... or other repositories; every GitHub App gets these and the next
		["github_app_authorization.*"] = source.ignore,

		["star.created"] = source.track "Repository Starred" { repository = get "repository.full_name" },
		["star.deleted"] = source.track "Repository Unstarred" { repository = get "repository.full_name" },
		["push"] = source.track "Code Pushed" {
			repository = get "repository.full_name",
			ref = get "ref",
			commit = get "head_commit.id",
			is_forced = get "forced",
		}:with {
			time = get "repository.pushed_at",
			when = get "head_commit", -- none: a branch was deleted
		},

		["issues.opened"] = source.track "Issue Opened" (issue),
		["issues.closed"] = source.track "Issue Closed" { issue, reason = get "issue.state_reason" },
		["issues.reopened"] = source.track "Issue Reopened" (issue),
		["issue_comment.created"] = source.track "Issue Commented" { issue, comment_id = get "comment.id":string() },

		["pull_request.opened"] = source.track "Pull Request Opened" (pull_request),
		["pull_request.reopened"] = source.track "Pull Request Reopened" (pull_request),
		["pull_request.closed"] = source.track(
			get "pull_request.merged":lookup { ["true"] = "Pull Request Merged" }:default "Pull Request Closed"
		) (pull_request),

		["release.published"] = source.track "Release Published" {
			repository = get "repository.full_name",
			tag = get "release.tag_name",
			name = get "release.name",
			url = get "release.html_url",
			is_prerelease = get "release.prerelease",
		},

		["installation.created"] = source.track "GitHub App Installed" (installation),
		["installation.deleted"] = source.track "GitHub App Uninstalled" (installation),
		["installation.suspend"] = source.track "GitHub App Suspended" (installation),
		["installation.unsuspend"] = source.track "GitHub App Unsuspended" (installation),
	},

	about = {
		name = "GitHub",
		website = "https://github.com",
		description = "a place where people write code together",
		support = "help@github.example", -- this and the menu: whoever runs the source has their own
		write_key_menu = { "Settings", "Integrations", "Segment" },
		regions = { "us", "eu" },
		categories = { "Analytics" },
		user = "It's the customer's own database ID of the person whose GitHub account did it: the customer links accounts, "
			.. "for example when people sign in with GitHub. What other GitHub accounts do isn't sent.",
		events = {
			["Code Pushed"] = { "The person pushed commits to a branch or a tag.", commit = "Hash of the last commit that was pushed.",
				is_forced = "Whether the push overwrote what was there.", ref = "Branch or tag, for example `refs/heads/main`." },
			["GitHub App Installed"] = "The person installed the GitHub App on an account.",
			["GitHub App Suspended"] = "The person suspended the GitHub App.",
			["GitHub App Uninstalled"] = "The person removed the GitHub App from an account.",
			["GitHub App Unsuspended"] = "The person let the suspended GitHub App go on.",
			["Issue Closed"] = { "The person closed an issue.", reason = "Why: `completed`, `not_planned`, or `duplicate`." },
			["Issue Commented"] = { "The person commented on an issue or a pull request.", comment_id = "ID of the comment." },
			["Issue Opened"] = "The person opened an issue.",
			["Issue Reopened"] = "The person opened a closed issue again.",
			["Pull Request Closed"] = "The person closed a pull request without merging it.",
			["Pull Request Merged"] = "The person merged a pull request.",
			["Pull Request Opened"] = "The person opened a pull request.",
			["Pull Request Reopened"] = "The person opened a closed pull request again.",
			["Release Published"] = { "The person published a release.", is_prerelease = "Whether it's marked as not ready for use.",
				name = "Name of the release.", tag = "Tag of the release.", url = "Address of the release." },
			["Repository Starred"] = "The person starred the repository.",
			["Repository Unstarred"] = "The person took the star back.",
		},
		properties = {
			account = "Name of the GitHub user or organization that the app is installed on.",
			account_type = "`user` or `organization`.",
			additions = "How many lines the pull request adds.",
			app = "Name of the app.",
			commits = "How many commits the pull request has.",
			deletions = "How many lines the pull request removes.",
			installation_id = "ID of the installation.",
			is_draft = "Whether the pull request is a draft.",
			labels = "Labels of the issue or pull request.",
			number = "Number of the issue or pull request in its repository.",
			repository = "Name of the repository, with its owner.",
			repository_selection = "Whether the app sees `all` repositories or those that were `selected`.",
			title = "Title of the issue or pull request.",
			url = "Address of the issue or pull request.",
		},
		context = {
			githubId = "ID of the person's GitHub account.",
			githubLogin = "Name of the person's GitHub account.",
		},
		ignored = {
			["github_app_authorization.*"] = "A person took back what the app might do for them; the app stays installed.",
			["installation.*"] = "Changes of the app's rights are of interest to its maker alone.",
			["installation_*"] = "Which repositories the app sees is of interest to its maker alone.",
			["issue_comment.*"] = "The comment was sent when it was made.",
			["issues.*"] = "Labels, assignees, and milestones are the team's own housekeeping.",
			["pull_request.*"] = "Labels, assignees, and reviews are the team's own housekeeping.",
			["release.*"] = "Drafts and corrections of a release aren't published.",
			ping = "Nobody did anything: GitHub asks whether the webhook's address works.",
		},
	},
}
