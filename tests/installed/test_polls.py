"""The project of Django's tutorial: `django-admin startproject` and the app polls.

At first it has nothing of djambda. Then its developer adds a task, a schedule and mail.
"""

import json
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from tests.browser.pages import has_background
from tests.installed.conftest import Repository, Site, User, repository
from tests.support.waiting import wait_until

DJANGO = "django==6.1.3"
FILES = {
    "requirements.txt": "Django~=6.1.3\n",
    "polls/__init__.py": "",
    "polls/models.py": """
from django.db import models


class Question(models.Model):
    question_text = models.CharField(max_length=200)
    pub_date = models.DateTimeField("date published", auto_now_add=True)

    def __str__(self):
        return self.question_text


class Choice(models.Model):
    question = models.ForeignKey(Question, on_delete=models.CASCADE)
    choice_text = models.CharField(max_length=200)
    votes = models.IntegerField(default=0)

    def __str__(self):
        return self.choice_text
""",
    "polls/admin.py": """
from django.contrib import admin

from .models import Choice, Question


class ChoiceInline(admin.TabularInline):
    model = Choice
    extra = 2


@admin.register(Question)
class QuestionAdmin(admin.ModelAdmin):
    inlines = [ChoiceInline]
""",
    "polls/views.py": """
from django.db.models import F
from django.http import HttpResponseRedirect
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.views import generic

from .models import Question


class IndexView(generic.ListView):
    model = Question
    template_name = "polls/index.html"


class DetailView(generic.DetailView):
    model = Question
    template_name = "polls/detail.html"


class ResultsView(generic.DetailView):
    model = Question
    template_name = "polls/results.html"


def vote(request, question_id):
    question = get_object_or_404(Question, pk=question_id)
    choice = question.choice_set.get(pk=request.POST["choice"])
    choice.votes = F("votes") + 1
    choice.save()
    return HttpResponseRedirect(reverse("polls:results", args=(question.id,)))
""",
    "polls/urls.py": """
from django.urls import path

from . import views

app_name = "polls"
urlpatterns = [
    path("", views.IndexView.as_view(), name="index"),
    path("<int:pk>/", views.DetailView.as_view(), name="detail"),
    path("<int:pk>/results/", views.ResultsView.as_view(), name="results"),
    path("<int:question_id>/vote/", views.vote, name="vote"),
]
""",
    "polls/static/polls/style.css": "li a { color: rgb(0, 128, 0); }\n",
    "polls/templates/polls/index.html": """
{% load static %}
<link rel="stylesheet" href="{% static 'polls/style.css' %}">
<ul>{% for question in object_list %}
<li><a href="{% url 'polls:detail' question.id %}">{{ question.question_text }}</a></li>
{% endfor %}</ul>
""",
    "polls/templates/polls/detail.html": """
<form action="{% url 'polls:vote' question.id %}" method="post">{% csrf_token %}
<fieldset><legend><h1>{{ question.question_text }}</h1></legend>
{% for choice in question.choice_set.all %}
<input type="radio" name="choice" id="choice{{ forloop.counter }}" value="{{ choice.id }}">
<label for="choice{{ forloop.counter }}">{{ choice.choice_text }}</label><br>
{% endfor %}</fieldset><input type="submit" value="Vote"></form>
""",
    "polls/templates/polls/results.html": """
<ul>{% for choice in question.choice_set.all %}
<li>{{ choice.choice_text }} -- {{ choice.votes }} vote{{ choice.votes|pluralize }}</li>
{% endfor %}</ul>
""",
    "mysite/urls.py": """
from django.contrib import admin
from django.urls import include, path

urlpatterns = [path("polls/", include("polls.urls")), path("admin/", admin.site.urls)]
""",
}
"""What the tutorial's reader writes, https://docs.djangoproject.com/en/6.1/intro/tutorial01/"""

ADDED_FILES = {
    "djambda.toml": """
tasks = "direct"

[schedules]
count-votes = {run = "count_votes", at = "cron(0 3 * * ? *)", zone = "Europe/Warsaw"}
""",
    "polls/tasks.py": """
from django.core.mail import send_mail
from django.tasks import task

from .models import Choice


@task
def announce_vote(choice_id):
    choice = Choice.objects.get(pk=choice_id)
    send_mail(f"A vote for {choice}", f"{choice.votes} in all", None, ["ann@example.org"])
""",
    "polls/management/commands/count_votes.py": """
from django.core.management.base import BaseCommand
from django.db.models import Sum

from polls.models import Choice


class Command(BaseCommand):
    def handle(self, **options):
        self.stdout.write(f"Votes: {Choice.objects.aggregate(Sum('votes'))['votes__sum']}")
""",
}
"""What the documentation of tasks, schedules and mail tells its reader to add."""

SAVING = "    choice.save()\n"
ENQUEUEING = f"""\
{SAVING}\
    announce_vote.enqueue(choice.pk)
"""
VIEWS_IMPORT = "from .models import Question\n"

TASK_SECONDS = 60


@pytest.fixture(scope="module")
def project(user: User) -> Iterator[Repository]:
    folder = user.home / "polls"
    folder.mkdir()
    user.run_tool(DJANGO, "django-admin startproject mysite .", cwd=folder)
    for name, text in FILES.items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    settings = folder / "mysite" / "settings.py"
    settings.write_text(
        settings.read_text().replace("INSTALLED_APPS = [", 'INSTALLED_APPS = [\n    "polls",')
    )
    user.run_tool(DJANGO, "python manage.py makemigrations polls", cwd=folder)
    with repository(user, folder) as project:
        yield project


@pytest.fixture(scope="module")
def site(project: Repository) -> Site:
    return project.up()


def test_question_is_added_and_answered(page: Page, site: Site) -> None:
    page.goto("admin/")
    page.get_by_label("Username").fill(site.username)
    page.get_by_label("Password").fill(site.password)
    page.get_by_role("button", name="Log in").click()
    assert has_background(page.locator("#header"))
    page.goto("admin/polls/question/add/")
    page.get_by_label("Question text").fill("What's up?")
    page.locator("#id_choice_set-0-choice_text").fill("Not much")
    page.locator("#id_choice_set-1-choice_text").fill("The sky")
    page.get_by_role("button", name="Save", exact=True).click()

    page.goto("polls/")
    question = page.get_by_role("link", name="What's up?")
    color = question.evaluate("element => getComputedStyle(element).color")
    assert color == "rgb(0, 128, 0)"
    question.click()
    page.get_by_label("The sky").check()
    page.get_by_role("button", name="Vote").click()

    page.wait_for_url("**/results/")
    expect(page.get_by_text("The sky -- 1 vote", exact=True)).to_be_visible()
    expect(page.get_by_text("Not much -- 0 votes", exact=True)).to_be_visible()


def test_project_is_unchanged(project: Repository, site: Site) -> None:
    assert project.changes() == []


def test_task_schedule_and_mail_are_added(project: Repository, page: Page, site: Site) -> None:
    project.write(ADDED_FILES)
    views = FILES["polls/views.py"].replace(SAVING, ENQUEUEING)
    views = views.replace(VIEWS_IMPORT, f"{VIEWS_IMPORT}from .tasks import announce_vote\n")
    project.write({"polls/views.py": views})

    project.up(MAIL_FROM="Polls <polls@example.com>")

    page.goto("polls/1/")
    page.get_by_label("The sky").check()
    page.get_by_role("button", name="Vote").click()
    page.wait_for_url("**/results/")
    wait_until(lambda: bool(json.loads(project.djambda("mail --local --json"))), TASK_SECONDS)
    mail = project.djambda("mail --local show 1")
    assert "From: Polls <polls@example.com>" in mail
    assert "Subject: A vote for The sky" in mail
    assert "2 in all" in mail
    assert json.loads(project.djambda("tasks list --local --json")) == []
    [schedule] = json.loads(project.djambda("schedules list --local --json"))
    assert schedule["name"] == "count-votes"
    assert "Votes: 2" in project.djambda("schedules run --local count-votes")
